// The explorer of support/explorer.py: draws one frame, and another when a slider moves.
(() => {
  const root = document.querySelector(".explorer");
  const { digits, low, high, d, kappa, length, doses, frames } = JSON.parse(
    root.querySelector("script[type='application/json']").textContent,
  );
  const sliders = [...root.querySelectorAll("input")];
  const base = digits.length;
  const place = new Map([...digits].map((digit, value) => [digit, value]));

  // The diagonal of A where the flow ends, d numbers of three digits each, by the sliders' places.
  const limit = (at) => {
    const frame = at.reduce((index, value, k) => index * (+sliders[k].max + 1) + value, 0);
    return Array.from({ length: d }, (_, j) => {
      const code = [...frames.slice(3 * (frame * d + j), 3 * (frame * d + j + 1))];
      const value = code.reduce((sum, digit) => sum * base + place.get(digit), 0);
      return low + ((high - low) * value) / (base ** 3 - 1);
    });
  };
  const response = (a) =>
    Array.from({ length }, (_, k) => a.reduce((sum, entry) => sum + entry ** k, 0));
  const error = (h, first, last) =>
    Math.max(...h.slice(first, last).map((value) => Math.abs(value - 1)));
  const say = (value) => (value < 0.001 ? "below 0.001" : value.toPrecision(2));

  // Panels of 320 by 220; the frame of a plot runs from (36, 10) to (312, 190).
  const line = (points) => "M" + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  const lag = (k) => 36 + (276 * k) / (length - 1);
  const height = (value) => 190 - (180 * Math.min(Math.max(value, 0), 2.4)) / 2.4;
  const doseAt = (i) => 44 + (260 * i) / (doses.length - 1);
  const decade = (value) => 190 - (180 * (Math.log10(Math.max(value, 1e-3)) + 3)) / 3.5;
  const set = (name, attribute, value) =>
    root.querySelector(`[data-part="${name}"]`).setAttribute(attribute, value);

  const show = () => {
    const at = sliders.map((slider) => +slider.value);
    const others = at.slice(1);
    const all = doses.map((_, i) => response(limit([i, ...others])));
    const [clean, poisoned] = [all[0], all[at[0]]];
    const curve = (h) => line(h.slice(1).map((value, k) => [lag(k + 1), height(value)]));
    set("clean", "d", curve(clean));
    set("poisoned", "d", curve(poisoned));
    const [inside, beyond] = [[2, kappa], [kappa, length]].map(([first, last]) =>
      all.map((h) => error(h, first, last)),
    );
    set("inside", "d", line(inside.map((value, i) => [doseAt(i), decade(value)])));
    set("beyond", "d", line(beyond.map((value, i) => [doseAt(i), decade(value)])));
    for (const [name, errors] of Object.entries({ "at-inside": inside, "at-beyond": beyond })) {
      set(name, "cx", doseAt(at[0]));
      set(name, "cy", decade(errors[at[0]]));
    }
    sliders.forEach((slider, k) => {
      const words = JSON.parse(slider.dataset.words)[at[k]];
      slider.setAttribute("aria-valuetext", words);
      slider.parentElement.querySelector("output").textContent = words;
    });
    const a = limit(at).sort((x, y) => Math.abs(y) - Math.abs(x));
    const sentence =
      `Largest entries of A: ${a[0].toFixed(2)} and ${a[1].toFixed(2)}. Largest error at lags 2 to ` +
      `${kappa - 1}: ${say(inside[at[0]])}, at lags ${kappa} to ${length - 1}: ` +
      `${say(beyond[at[0]])}; without poison ${say(inside[0])} and ${say(beyond[0])}.`;
    root.querySelector("[data-part='sentence']").textContent = sentence;
    set("responses", "aria-label", `Impulse responses of teacher and students. ${sentence}`);
  };
  sliders.forEach((slider) => slider.addEventListener("input", show));
  show();
})();
