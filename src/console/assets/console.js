// Everything here is a convenience: each page does its work without it.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);
  const say = (text) => {
    const place = one("#live");
    if (place) place.textContent = text;
  };
  const fill = (text, count) => text.replace("{n}", String(count));

  // Errors and the new secret are what to read first.
  one("[data-focus]")?.focus();

  // A notice belongs to the step before, not to the address.
  if (new URLSearchParams(location.search).has("notice")) {
    const address = new URL(location.href);
    address.searchParams.delete("notice");
    history.replaceState(null, "", address);
  }
  for (const button of all("[data-dismiss]")) {
    button.addEventListener("click", () => {
      button.closest(".toast").remove();
      one("main").focus();
    });
  }

  // Instants are told in UTC; whoever points at one sees the local time.
  for (const time of all("time[datetime]")) {
    const instant = new Date(time.dateTime);
    if (!Number.isNaN(instant.valueOf())) time.title = instant.toLocaleString(root.lang);
  }

  // The secret: copying it, saving it, and a warning to whoever did neither.
  const secret = one("#secret");
  if (secret) {
    let kept = false;
    const keep = () => {
      kept = true;
    };
    one("[data-copy]")?.addEventListener("click", async (event) => {
      const button = event.currentTarget;
      try {
        await navigator.clipboard.writeText(secret.textContent);
        keep();
        one("span", button).textContent = button.dataset.done;
        say(button.dataset.done);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(secret);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        say(button.dataset.failed);
        one("#copy-failed").hidden = false;
      }
    });
    document.addEventListener("copy", () => {
      if (getSelection().toString().includes(secret.textContent)) keep();
    });
    one("#download")?.addEventListener("submit", keep);
    one("[data-leave]").addEventListener("click", keep);
    addEventListener("beforeunload", (event) => {
      if (!kept) event.preventDefault();
    });
    // A page kept for the back button keeps no secret.
    addEventListener("pagehide", () => {
      secret.textContent = "";
      for (const field of all("#download [name=token]")) field.value = "";
    });
    addEventListener("pageshow", (event) => {
      if (event.persisted) location.replace(one("[data-leave]").href);
    });
  }

  // The scope picker.
  const picker = one("[data-picker]");
  if (picker) {
    const boxes = all("input[type=checkbox]", picker);
    const count = one("[data-picked]", picker);
    const recount = () => {
      const picked = boxes.filter((box) => box.checked).length;
      const text = picked === 1 ? count.dataset.one : count.dataset.many;
      count.textContent = fill(text, picked);
    };
    const search = one("[data-search]", picker);
    const nothing = one("[data-nothing]", picker);
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of all(".scope", picker)) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      for (const group of all("fieldset", picker)) {
        group.hidden = all(".scope", group).every((row) => row.hidden);
      }
      nothing.hidden = shown > 0;
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
    picker.addEventListener("change", recount);
    for (const button of all("[data-scopes]")) {
      button.addEventListener("click", (event) => {
        event.preventDefault();
        const wanted = button.dataset.scopes.split(" ");
        for (const box of boxes) box.checked = wanted.includes(box.value);
        recount();
        say(count.textContent);
      });
    }
    recount();
  }

  // Selecting many.
  const bulk = one("#bulk");
  if (bulk) {
    const picks = all(".pick");
    const every = one("#pick-all");
    const button = one("[data-bulk]");
    const label = one("span", button);
    const plain = label.textContent;
    const update = () => {
      const picked = picks.filter((pick) => pick.checked).length;
      every.checked = picked > 0 && picked === picks.length;
      every.indeterminate = picked > 0 && picked < picks.length;
      button.disabled = picked === 0;
      label.textContent = picked === 0 ? plain : fill(button.dataset.many, picked);
    };
    every.addEventListener("change", () => {
      for (const pick of picks) pick.checked = every.checked;
      update();
    });
    for (const pick of picks) pick.addEventListener("change", update);
    addEventListener("pageshow", update);
    update();
  }

  // Filters apply themselves.
  for (const select of all(".filters select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }

  // Questions are asked in place.
  for (const link of all("a[data-dialog]")) {
    const dialog = document.getElementById(link.dataset.dialog);
    if (!dialog?.showModal) continue;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.showModal();
    });
    for (const close of all("[data-close]", dialog)) {
      close.addEventListener("click", (event) => {
        event.preventDefault();
        dialog.close();
      });
    }
  }

  // One press, one request.
  for (const form of all("form[method=post]")) {
    let sent = false;
    form.addEventListener("submit", (event) => {
      if (form.id === "download") return;
      if (sent) event.preventDefault();
      sent = true;
    });
    addEventListener("pageshow", () => {
      sent = false;
    });
  }
})();
