"""A page whose time passes only when a test says so, so that no test depends on how fast the machine is."""
from __future__ import annotations

# ms of the real clock, after which something that has to happen has not: a machine may be busy
PATIENCE = 600_000
FRAME = 50  # ms of the page's own time from one frame to the next: a step of the drive
MOST = 4000  # frames that a condition may take: more than three minutes of the page's own time

# In place of the browser's own: frames that are asked for, and alarms, wait until a test lets them come.
# Before each frame the browser tells what it has to tell (keys, sizes, what is in sight). Of JupyterLab only
# the frames that the functions named ONLY ask for are held.
HELD = """(() => {
  const ask = window.requestAnimationFrame.bind(window), forget = window.cancelAnimationFrame.bind(window);
  const alarm = window.setTimeout.bind(window), hush = window.clearTimeout.bind(window);
  const waiting = new Map(), alarms = new Map();
  let now = 1000, count = 1e9;
  window.requestAnimationFrame = (call) => {
    if (ONLY && call.name !== ONLY) return ask(call);
    waiting.set(++count, call);
    return count;
  };
  window.cancelAnimationFrame = (id) => { waiting.delete(id) || forget(id); };
  if (!ONLY) {
    window.setTimeout = (call, after = 0) => { alarms.set(++count, [now + after, call]); return count; };
    window.clearTimeout = (id) => { alarms.delete(id) || hush(id); };
  }
  window.testStill = () => waiting.size === 0;
  window.testSeen = () => new Promise((done) => ask(() => ask(() => alarm(done))));
  window.testPass = async (holds, most) => {
    for (let k = 0; !holds(); k++) {
      if (k === most) return false;
      await new Promise((done) => alarm(done));
      now += FRAME;
      const calls = [...waiting.values()];
      waiting.clear();
      for (const call of calls) call(now);
      for (const [id, [due, call]] of alarms) if (due <= now) { alarms.delete(id); call(); }
    }
    return true;
  };
})()"""


def held(only: str = "") -> str:
    """The script to start a page with; with a name, it holds the frames of functions of this name."""
    return HELD.replace("ONLY", f"'{only}'").replace("FRAME", str(FRAME))


def passes(page, holds: str, most: int = MOST) -> bool:
    """Let a held page's frames come until a condition holds, `most` of them; whether it does then."""
    return page.evaluate(f"(most) => testPass(() => {holds}, most)", most)
