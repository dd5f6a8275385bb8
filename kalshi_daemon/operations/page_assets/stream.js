// The event stream: whole documents, and what changed in them. Says when figures are no longer of now.

const SILENT_AFTER_MS = 5_000; // a daemon that is fine sends a frame each second
const AGAIN_MS = 3_000;

/** Calls `told({doc, lost, failed, restarted})` after each change; `lost`: stamp of the last frame, "" while all is well. */
export function follow(told) {
  let doc = null;
  let lost = "";
  let failed = "";
  let restarted = "";
  let heard = 0;
  let source = null;
  const say = () => told({ doc, lost, failed, restarted });

  function take(next) {
    if (doc && doc.run_id !== next.run_id) restarted = next.at;
    doc = next;
    lost = failed = "";
    heard = Date.now();
    say();
  }

  function lose() {
    if (lost || !doc) return;
    lost = doc.at;
    say();
  }

  function open() {
    source = new EventSource("events");
    source.addEventListener("whole", (event) => take(JSON.parse(event.data)));
    source.addEventListener("changed", (event) => take({ ...doc, ...JSON.parse(event.data) }));
    source.addEventListener("failed", (event) => {
      heard = Date.now();
      failed = JSON.parse(event.data).error;
      lost = doc ? lost || doc.at : "";
      say();
    });
    source.onerror = () => {
      lose();
      if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN_MS); // refused: it does not try by itself
    };
  }

  setInterval(() => {
    if (heard && Date.now() - heard > SILENT_AFTER_MS) lose();
  }, 1_000);
  open();
}
