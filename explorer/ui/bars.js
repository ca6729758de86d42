// Bars that a reader can pick from: rows (one a group, documents above tokens) or columns (a histogram, years in order).
// Every text is set with textContent: labels come from the data.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#bars")
  const { items, layout, axis, unit, title } = data
  const most = Math.max(1e-9, ...items.map((i) => i.value))
  const most2 = Math.max(1e-9, ...items.map((i) => i.second ?? 0))
  root.className = layout
  root.setAttribute("role", "group")
  root.setAttribute("aria-label", title)
  root.replaceChildren()
  const element = (tag, name, text) => {
    const e = document.createElement(tag)
    if (name) e.className = name
    if (text !== undefined) e.textContent = text
    return e
  }
  for (const item of items) {
    const row = element(item.pick ? "button" : "div", "item")
    row.title = item.tip
    if (item.pick) {
      row.type = "button"
      row.onclick = () => setTriggerValue("picked", item.pick)
    }
    const bar = element("span", "bar")
    const fill = element("i")
    const part = `${Math.max(item.value > 0 ? 0.6 : 0, (100 * item.value) / most)}%`
    if (layout === "rows") {
      fill.style.width = part
      bar.append(fill)
      if (item.second !== undefined && item.second !== null) {
        const thin = element("i", "second")
        thin.style.width = `${Math.max(item.second > 0 ? 0.6 : 0, (100 * item.second) / most2)}%`
        bar.append(thin)
      }
      row.append(element("span", "label", item.label), bar, element("span", "figure", item.figure))
      if (item.figure2) row.append(element("span", "figure quiet", item.figure2))
    } else {
      fill.style.height = part
      bar.append(fill)
      row.append(bar, element("span", "label", item.label))
      row.setAttribute("aria-label", item.tip)
    }
    root.append(row)
  }
  const foot = parentElement.querySelector("#axis")
  foot.textContent = [axis, unit].filter(Boolean).join(" · ")
  root.dataset.ready = "1"
}
