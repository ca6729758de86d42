// The list of documents: click, J/K or arrows open one; N/P go through the marks in the reader; "/" goes to the search box.
// Every text is set with textContent: snippets and cells come from the data.
const lists = new WeakMap()

function typing(event) {
  const at = event.composedPath()[0]
  return at && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable)
}

function draw(state) {
  const { data, list, head } = state
  const element = (tag, name, text) => {
    const e = document.createElement(tag)
    if (name) e.className = name
    if (text !== undefined) e.textContent = text
    return e
  }
  const columns = `minmax(4.5rem, 7rem) minmax(0, 1fr) ${data.columns.map(() => "minmax(3.6rem, max-content)").join(" ")}`
  state.frame.style.gridTemplateColumns = columns
  head.replaceChildren(element("span", "", data.group), element("span", "", data.title))
  for (const column of data.columns) {
    const cell = element("span", "figure", column.name)
    cell.title = column.tip
    head.append(cell)
  }
  list.replaceChildren()
  data.rows.forEach((row, index) => {
    const line = element("div", `line ${row.kept === false ? "dropped" : ""}`)
    line.setAttribute("role", "option")
    line.id = `document-${row.row}`
    line.dataset.index = index
    const group = element("span", "group", row.group)
    group.title = row.tip
    const words = element("span", "words")
    for (const [text, hit] of row.snippet) words.append(hit ? element("mark", "", text) : text)
    line.append(group, words)
    row.cells.forEach((cell) => line.append(element("span", "figure", cell)))
    line.onclick = () => open(state, index)
    list.append(line)
  })
}

function point(state, index) {
  const lines = [...state.list.children]
  lines.forEach((line, i) => {
    line.classList.toggle("open", i === index)
    line.setAttribute("aria-selected", i === index)
  })
  state.index = index
  const line = lines[index]
  if (!line) return
  state.list.setAttribute("aria-activedescendant", line.id)
  const top = line.offsetTop - state.head.offsetHeight
  if (top < state.frame.scrollTop) state.frame.scrollTop = top
  else if (line.offsetTop + line.offsetHeight > state.frame.scrollTop + state.frame.clientHeight)
    state.frame.scrollTop = line.offsetTop + line.offsetHeight - state.frame.clientHeight
}

function open(state, index) {
  const rows = state.data.rows
  if (index < 0) return state.data.page > 1 && state.send("page", -1)
  if (index >= rows.length) return state.data.page < state.data.pages && state.send("page", 1)
  point(state, index)
  // A key that is held down moves the mark at once and asks for the document only where it comes to rest.
  clearTimeout(state.timer)
  state.timer = setTimeout(() => state.send("opened", rows[index].row), 90)
}

// The list is what was searched for or chosen above it: the keys are its own again, unless more is being typed or chosen.
function takeKeys() {
  const at = document.activeElement
  if (!at?.closest(".st-key-documents_search, .st-key-map_controls, .st-key-labels_toolbar")) return
  const typing = at.closest("[data-testid=stTextInput]")?.querySelector("[data-testid=InputInstructions]")?.textContent
  if (!typing && at.getAttribute("aria-expanded") !== "true") at.blur()
}

function goToMark(step) {
  const marks = [...document.querySelectorAll(".reader mark, .diff mark")]
  if (!marks.length) return
  const now = marks.findIndex((m) => m.classList.contains("now"))
  const next = marks[(now + step + marks.length) % marks.length]
  marks.forEach((m) => m.classList.toggle("now", m === next))
  next.scrollIntoView({ block: "center" })
}

function onKey(state, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return
  const inside = event.composedPath().includes(state.frame)
  const key = event.key
  if (key === "j" || (inside && key === "ArrowDown")) open(state, state.index + 1)
  else if (key === "k" || (inside && key === "ArrowUp")) open(state, state.index - 1)
  else if (inside && key === "Home") open(state, 0)
  else if (inside && key === "End") open(state, state.data.rows.length - 1)
  else if (key === "n") goToMark(1)
  else if (key === "p") goToMark(-1)
  else if (key === "/") document.querySelector(".st-key-documents_search input")?.focus()
  else return
  event.preventDefault()
}

export default function ({ data, parentElement, setTriggerValue }) {
  let state = lists.get(parentElement)
  if (!state) {
    const frame = parentElement.querySelector("#frame")
    state = { frame, head: parentElement.querySelector("#head"), list: parentElement.querySelector("#list"), said: "", index: 0, timer: 0 }
    state.listener = (event) => onKey(state, event)
    document.addEventListener("keydown", state.listener)
    lists.set(parentElement, state)
  }
  state.data = data
  state.send = setTriggerValue
  const said = JSON.stringify([data.rows, data.columns, data.title])
  if (said !== state.said) {
    const same = state.first === data.rows[0]?.row
    const top = state.frame.scrollTop
    draw(state)
    takeKeys()
    state.frame.scrollTop = same ? top : 0
    state.said = said
    state.first = data.rows[0]?.row
  }
  const index = data.rows.findIndex((r) => r.row === data.open)
  if (index >= 0) point(state, index)
  state.frame.dataset.ready = "1"
  return () => {
    document.removeEventListener("keydown", state.listener)
    clearTimeout(state.timer)
    lists.delete(parentElement)
  }
}
