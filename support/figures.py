"""The look of the book's figures: import `plt` from here, and the drawing stays on the page.

Colours are Okabe and Ito's, told apart also by line style; white grounds, which the book's style
sheet inverts in dark mode.
"""

import matplotlib.pyplot as plt

__all__ = ["BELOW", "CLEAN", "POISONED", "REFERENCE", "TEACHER", "WITH", "WITHOUT", "plt"]

CLEAN, POISONED, TEACHER, REFERENCE = "#0072B2", "#D55E00", "#000000", "#009E73"
BELOW = "lags below the training length"
WITHOUT, WITH = "without the special sequence", "with the special sequence"

plt.rcdefaults()  # a reader's own settings stay out of the book
plt.rcParams.update(
    {
        "figure.dpi": 140,
        "figure.constrained_layout.use": True,
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "lines.linewidth": 1.6,
    }
)
