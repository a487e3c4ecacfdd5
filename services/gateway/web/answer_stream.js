// A streamed chat completion: events as they come, from a fetch that can be stopped.

/** Splits server-sent events out of text that comes in pieces; yields the data of each. */
export class EventSplitter {
  constructor() {
    this.rest = "";
  }
  push(text) {
    this.rest += text;
    const events = this.rest.split("\n\n");
    this.rest = events.pop();
    return events.map((event) => event.split("\n").filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(5).trimStart()).join("\n")).filter((data) => data !== "");
  }
}

async function failure(response) {
  const text = await response.text();
  try {
    return new Error(JSON.parse(text).error.message);
  } catch {
    return new Error(`the gateway answered ${response.status}`);
  }
}

/** Yields parsed events up to [DONE]. Throws what the gateway or the network says; AbortError after signal. */
export async function* answer(body, signal) {
  const response = await fetch("/v1/chat/completions", {
    method: "POST", signal, headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const splitter = new EventSplitter();
  for (;;) {
    const {value, done} = await reader.read();
    if (done) throw new Error("the connection broke before the answer's end");
    for (const data of splitter.push(value)) {
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}
