// Shows how much of a form with files was sent. Without this script the form is submitted as any other.

const HEADER = "x-stored-files";
const FIELD = "input[type=file][data-stored-files]";
const MESSAGE = ".invalid-feedback, .alert-danger";
const SIZES = ["bytes", "kB", "MB", "GB", "TB"];

document.addEventListener("submit", (event) => {
  const form = event.target;
  const hasFiles = [...form.querySelectorAll(FIELD)].some((input) => input.files.length > 0);
  if (event.defaultPrevented || !hasFiles) return;
  event.preventDefault();
  new Upload(form, event.submitter).send();
});

class Upload {
  constructor(form, button) {
    this.form = form;
    this.button = button;
    this.request = new XMLHttpRequest();
    this.isSent = false;
    this.dialog = makeDialog();
    this.bar = this.dialog.querySelector("progress");
    this.text = this.dialog.querySelector("p");
    this.cancel = this.dialog.querySelector("button");
  }

  send() {
    const { request } = this;
    request.upload.onprogress = (event) => this.show(event.loaded, event.total);
    request.upload.onload = () => this.wait();
    request.onload = () => this.answer();
    request.onerror = () => this.fail(this.isSent ? "no answer" : "lost");
    request.onabort = () => this.fail("cancelled");
    this.cancel.onclick = () => request.abort();
    this.dialog.oncancel = (event) => {
      event.preventDefault();
      this.cancel.click();
    };
    document.body.append(this.dialog);
    this.dialog.showModal();
    hideLoadingModal();
    window.addEventListener("pageshow", () => this.dialog.remove(), { once: true }); // the back button shows it again
    request.open("POST", new URL(this.form.getAttribute("action") ?? "", document.baseURI));
    request.setRequestHeader(HEADER, "1");
    request.send(this.data());
  }

  data() {
    const data = new FormData(this.form);
    if (this.button?.name) data.append(this.button.name, this.button.value);
    return data;
  }

  show(loaded, total) {
    this.bar.max = total;
    this.bar.value = loaded;
    this.text.textContent = `${inWords(loaded)} of ${inWords(total)} sent`;
  }

  wait() {
    this.isSent = true;
    this.bar.removeAttribute("value");
    this.text.textContent = "Sent. The server stores the files …";
    this.cancel.disabled = true; // whatever it does now is done
  }

  answer() {
    const { request } = this;
    const target = request.getResponseHeader(`${HEADER}-location`);
    if (target !== null) location.assign(new URL(target, request.responseURL));
    else if (request.status >= 400) this.refuse();
    else showPage(request.responseText);
  }

  refuse() {
    const { form, request } = this;
    this.dialog.remove();
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const answered = [...page.forms].find((each) => each.querySelector(FIELD));
    const messages = answered === undefined ? [] : [...answered.querySelectorAll(MESSAGE)];
    if (messages.length > 0) showMessages(form, answered, messages);
    else tell(form, `The server refused it (${request.status}): ${textOf(page)}`);
  }

  fail(reason) {
    this.dialog.remove();
    const reasons = {
      cancelled: "Cancelled. Nothing was saved.",
      lost: "The connection was lost before all was sent, or a file has changed. Nothing was saved: save once more.",
      "no answer": "No answer came. See whether it was saved before you save once more.",
    };
    tell(this.form, reasons[reason]);
  }
}

function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.className = "card p-4";
  dialog.setAttribute("aria-label", "Upload");
  dialog.append(make("p", "Sending …"), make("progress"), make("button", "Cancel", "btn mt-3"));
  dialog.querySelector("progress").style.width = "20em";
  dialog.querySelector("button").type = "button";
  return dialog;
}

function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

function inWords(size) {
  const power = size < 1000 ? 0 : Math.min(Math.floor(Math.log10(size) / 3), SIZES.length - 1);
  return `${(size / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${SIZES[power]}`;
}

// ---- answers other than another page

// The form stays, with what was typed and chosen, and gets the messages of the one that was answered.
function showMessages(form, answered, messages) {
  forget(form);
  for (const message of messages) {
    const shown = document.importNode(message, true);
    const control = shown.matches(".invalid-feedback") ? controlOf(form, answered, message) : undefined;
    shown.classList.add("d-block");
    if (control === undefined) form.prepend(shown);
    else {
      control.classList.add("is-invalid");
      control.parentElement.append(shown);
    }
  }
  form.querySelector(MESSAGE).scrollIntoView({ block: "center" });
}

// The control of the form that a message is about: it stands in the same element as that one's, or further out.
function controlOf(form, answered, message) {
  for (let around = message.parentElement; around !== answered; around = around.parentElement) {
    const name = [...around.querySelectorAll("[name]")].at(-1)?.name;
    if (name !== undefined) return [...form.elements].findLast((each) => each.name === name);
  }
  return undefined;
}

function tell(form, text) {
  forget(form);
  const message = make("div", text, "alert alert-danger");
  message.role = "alert";
  form.prepend(message);
  message.scrollIntoView({ block: "center" });
}

function forget(form) {
  for (const each of form.querySelectorAll(MESSAGE)) each.remove();
  for (const each of form.querySelectorAll(".is-invalid")) each.classList.remove("is-invalid");
}

function textOf(page) {
  for (const each of page.querySelectorAll("script, style, template, nav, aside")) each.remove();
  return page.body.textContent.replace(/\s+/g, " ").trim().slice(0, 300);
}

// A page that cannot be asked for again, such as one that shows a secret once.
function showPage(text) {
  document.open();
  document.write(text);
  document.close();
}

// Starlette-Admin shows one when a form is submitted.
function hideLoadingModal() {
  const modal = document.querySelector("[data-sa-hook=modal-loading]");
  if (modal === null || window.jQuery === undefined) return;
  const hide = () => window.jQuery(modal).modal("hide");
  modal.addEventListener("shown.bs.modal", hide, { once: true });
  hide();
}
