// Uploads: a row for each, with its progress, and with the reason where it fails.

import {Cancelled, Refused, sendFile} from "./send.js"

const AT_ONCE = 3
const {largest, tooLarge} = document.querySelector("#files").dataset
const waiting = []
let running = 0

// Tells those who do not see the page; what is behind an open dialog is not read out.
export function say(text) {
  for (const place of document.querySelectorAll("[role=status]")) place.textContent = text
}

// Sends a file, and calls `done` with the answer; returns its row in `list`.
export function upload(file, method, url, list, done) {
  const row = document.importNode(document.querySelector("#upload").content, true).firstElementChild
  const part = name => row.querySelector(name)
  const progress = part("progress"), state = part(".state"), retry = part(".retry"), dismiss = part(".dismiss")
  let controller = new AbortController()

  part(".name").textContent = file.name
  progress.setAttribute("aria-label", `Progress of ${file.name}`)
  dismiss.addEventListener("click", () => {
    if (dismiss.ariaDisabled) return
    controller.abort()
    leave(row)
  })
  retry.addEventListener("click", () => {
    dismiss.focus() // this button is about to vanish
    begin()
  })

  function begin() {
    controller = new AbortController()
    row.classList.remove("failed", "making")
    retry.hidden = true
    progress.value = 0
    state.textContent = "Waiting"
    dismiss.setAttribute("aria-label", `Cancel ${file.name}`)
    if (file.size > Number(largest)) fail(new Refused(tooLarge))
    else enqueue(run)
  }

  async function run() {
    if (controller.signal.aborted) return
    try {
      done(await sendFile(method, url, file, {onProgress: show, signal: controller.signal}))
      say(`${file.name} is in the gallery`)
      leave(row)
    } catch (error) {
      if (!(error instanceof Cancelled)) fail(error)
    }
  }

  function show(part) {
    progress.value = part
    state.textContent = `${Math.floor(100 * part)} %`
    if (part < 1) return
    state.textContent = "Making its sizes"
    row.classList.add("making")
    dismiss.ariaDisabled = "true" // the server has it, and may be storing it
  }

  function fail(error) {
    row.classList.add("failed")
    dismiss.ariaDisabled = null
    state.textContent = error.message
    retry.hidden = error instanceof Refused
    dismiss.setAttribute("aria-label", `Dismiss ${file.name}`)
    say(`${file.name}: ${error.message}`)
  }

  list.append(row)
  begin()
  return row
}

function leave(row) {
  if (row.contains(document.activeElement)) (row.closest("dialog") ?? document).querySelector("button, #files").focus()
  row.remove()
}

function enqueue(run) {
  waiting.push(run)
  next()
}

async function next() {
  if (running >= AT_ONCE || !waiting.length) return
  running++
  try {
    await waiting.shift()()
  } finally {
    running--
    next()
  }
}
