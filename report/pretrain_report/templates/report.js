// Reads values off the plots: the step nearest to the pointer, marked in all of them at once.
(() => {
  "use strict";
  const { columns, rows } = JSON.parse(document.getElementById("rows").textContent);
  const readOut = document.querySelector(".read-out");
  const column = Object.fromEntries(columns.map((name, index) => [name, index]));
  const whole = new Intl.NumberFormat("en");
  const compact = new Intl.NumberFormat("en", { notation: "compact", minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const rounded = (value) => whole.format(Math.round(value));
  const shown = [
    ["step", "step", whole.format],
    ["loss", "loss", (value) => value.toFixed(3)],
    ["learningRate", "learning rate", (value) => value.toExponential(2)],
    ["batchTokens", "batch", (value) => `${whole.format(value)} tokens`],
    ["tokensPerSecond", "tokens/s", rounded],
    ["gradientNorm", "gradient norm", (value) => value.toPrecision(3)],
    ["tokens", "tokens so far", compact.format],
  ];
  const canvases = [...document.querySelectorAll(".canvas:not(.still)")].map((element) => {
    const cursor = document.createElement("div");
    const geometry = JSON.parse(element.dataset.geometry);
    cursor.className = "cursor";
    cursor.hidden = true;
    cursor.style.top = `${100 * geometry.top}%`;
    cursor.style.height = `${100 * (geometry.bottom - geometry.top)}%`;
    element.append(cursor);
    return { element, geometry, cursor };
  });

  const nearest = (step) => {
    let low = 0;
    let high = rows.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (rows[middle][column.step] <= step) low = middle;
      else high = middle;
    }
    return step - rows[low][column.step] <= rows[high][column.step] - step ? rows[low] : rows[high];
  };

  const show = (row) => {
    for (const { geometry, cursor } of canvases) {
      const share = (row[column.step] - geometry.low) / (geometry.high - geometry.low);
      cursor.style.left = `${100 * (geometry.left + share * (geometry.right - geometry.left))}%`;
      cursor.hidden = false;
    }
    readOut.replaceChildren(
      ...shown.filter(([name]) => row[column[name]] !== null).flatMap(([name, label, format]) => {
        const value = document.createElement("b");
        value.textContent = format(row[column[name]]);
        return [`${label} `, value, "   "];
      })
    );
  };

  const hide = () => {
    for (const { cursor } of canvases) cursor.hidden = true;
    readOut.replaceChildren();
  };

  for (const { element, geometry } of canvases) {
    element.addEventListener("pointermove", (event) => {
      const box = element.getBoundingClientRect();
      const share = ((event.clientX - box.left) / box.width - geometry.left) / (geometry.right - geometry.left);
      show(nearest(geometry.low + Math.min(1, Math.max(0, share)) * (geometry.high - geometry.low)));
    });
    element.addEventListener("pointerleave", hide);
  }
})();
