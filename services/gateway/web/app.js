// The shell: which page is shown, whether the gateway is heard.
import {live} from "/web/live.js";
import {chat} from "/web/chat.js";
import {cluster} from "/web/cluster.js";
import {router} from "/web/router.js";
import {requests} from "/web/requests.js";
import {techniques} from "/web/techniques.js";
import {benchmarks} from "/web/benchmarks.js";

const pages = {chat, cluster, router, requests, techniques, benchmarks};
const main = document.getElementById("main");
let close = null;
let shown = null;

function show(focus) {
  const name = location.hash.replace(/^#\//, "").split("?")[0];
  if (name === "main") return;  // the skip link
  const page = pages[name] ?? chat;
  if (page === shown) return;
  close?.();
  shown = page;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.getAttribute("href") === `#/${page.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} · Troupe`;
  main.replaceChildren();
  main.dataset.page = page.name;
  close = page.open(main);
  if (focus) main.querySelector("h1")?.focus({preventScroll: true});
  window.scrollTo(0, 0);
}

function showState() {
  const words = {waiting: "connecting", live: "live", lost: "connection lost, trying again"};
  document.getElementById("live").dataset.state = live.state;
  document.getElementById("live-text").textContent = words[live.state];
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => show(true));
live.on(["state"], showState);
live.start();
show(false);
