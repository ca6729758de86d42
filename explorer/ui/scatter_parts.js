// What a map is made of besides its picture (scatter.py says what is sent): layers of bytes, each sent once; the wire that carries what
// the reader did to Python; the cards of the documents pointed at; and the word that all is drawn. scatter.js meets them here, by key.

const meetings = (globalThis.__corpusExplorerScatter ??= new Map());
const MOST_CARDS = 4000; // documents whose first lines are remembered
const PATIENCE = 4000; // milliseconds after which the rest of the page no longer waits for the points

export default function ({ data, setStateValue, setTriggerValue }) {
  if (!data) return;
  if (ArrayBuffer.isView(data)) return receive(data);
  const meeting = meetingOf(data.map);
  if (data.role === "wire") {
    meeting.send = (message) => setTriggerValue("event", message);
    meeting.state = data;
    meeting.scatter?.adopt(data);
    if (meeting.unsent?.sequence > data.sequence) meeting.scatter?.deliver(1);
    return () => { meeting.send = null; };
  }
  if (data.role === "cards") {
    meeting.ask = (stamp, points) => setTriggerValue("asked", { stamp, points });
    if (meeting.cards.size > MOST_CARDS) meeting.cards.clear();
    for (const [i, card] of Object.entries(data.cards)) meeting.cards.set(`${data.stamp}:${i}`, card);
    meeting.scatter?.answered();
    return () => { meeting.ask = null; };
  }
  if (data.known) return; // role "drawn"
  const tell = () => setStateValue("drawn", data.stamp);
  const late = setTimeout(tell, PATIENCE);
  meeting.tell = (stamp) => { if (stamp === data.stamp) tell(); };
  if (meeting.scatter?.root.dataset.ready === "1") meeting.tell(meeting.scatter.pointsStamp);
  return () => { clearTimeout(late); meeting.tell = null; };
}

function meetingOf(key) {
  if (!meetings.has(key)) meetings.set(key, { layers: {}, cards: new Map(), scatter: null, send: null, unsent: null, ask: null, state: null });
  return meetings.get(key);
}

// A layer: uint32 length of the JSON that follows, the JSON, then the bytes.
function receive(data) {
  const size = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + size)));
  const meeting = meetingOf(head.map);
  if (meeting.layers[head.layer]?.stamp !== head.stamp) {
    meeting.layers[head.layer] = { ...head, bytes: data.slice(4 + size) };
    meeting.scatter?.layer(head.layer);
  }
  return () => {
    if (meeting.layers[head.layer]?.stamp === head.stamp) delete meeting.layers[head.layer];
  };
}
