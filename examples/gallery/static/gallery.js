// The page: what is chosen or dropped is uploaded, and a photograph opens when it is chosen.

import {open} from "./lightbox.js"
import {add, dress, tiles} from "./tiles.js"
import {upload} from "./uploads.js"

const list = document.querySelector("#uploads")

function uploadAll(files) {
  for (const file of files) upload(file, "POST", "/photos", list, add)
}

tiles().forEach(dress)

document.querySelector("#files").addEventListener("change", ({target}) => {
  uploadAll(target.files)
  target.value = ""
})

document.querySelector("#grid").addEventListener("click", event => {
  const tile = event.target.closest(".tile")
  if (!tile || event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  open(tile)
})

const hasFiles = event => event.dataTransfer?.types.includes("Files")
const isTaken = () => !document.querySelector("dialog[open]")
const mark = isDragging => document.body.classList.toggle("dragging", isDragging)

addEventListener("dragover", event => {
  if (!hasFiles(event)) return
  event.preventDefault() // else the browser would show the file in place of the page
  mark(isTaken())
})
addEventListener("dragleave", event => { if (!event.relatedTarget) mark(false) })
addEventListener("drop", event => {
  if (!hasFiles(event)) return
  event.preventDefault()
  mark(false)
  if (isTaken()) uploadAll(event.dataTransfer.files)
})
