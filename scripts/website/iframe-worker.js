// A browser starts no worker in a page from a disk. There, the search runs in a frame that is not
// shown. The theme looks for the names of this file and of the class.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow, script = inside.document.createElement("script");
      const tell = (target, data) =>
        target.dispatchEvent(new MessageEvent("message", { data }));
      const ready = new Promise(resolve => script.onload = resolve);
      inside.postMessage = data => setTimeout(tell, 0, this, data);
      script.src = url;
      inside.document.body.append(script);
      this.postMessage = data => ready.then(() => tell(inside, data));
      this.terminate = () => frame.remove();
    }
  };
  window.Worker = window.IFrameWorker;
}
