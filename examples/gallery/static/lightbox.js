// One photograph, as large as the window: arrows and swipes lead to the others; it is described, replaced, deleted here.

import {ask} from "./send.js"
import {remove, replace, tiles} from "./tiles.js"
import {say, upload} from "./uploads.js"

const dialog = document.querySelector("#lightbox")
const confirmation = document.querySelector("#confirm")
const part = name => dialog.querySelector(name)
const image = part(".stage img"), alt = part("#alt"), replacements = part(".uploads")
let shown = null

export function open(tile) {
  show(tile)
  dialog.showModal()
}

function show(tile) {
  const all = tiles(), at = all.indexOf(tile), small = tile.querySelector("img")
  const {number, name, width, height, original} = tile.dataset
  shown = tile
  for (const row of replacements.children) row.hidden = row.dataset.number !== number
  image.alt = small.alt
  image.style.maxWidth = `${width}px`
  image.style.maxHeight = `${height}px`
  image.src = small.currentSrc || small.src // which is here already
  loadLarge(tile)
  alt.value = tile.dataset.alt
  part(".position").textContent = `${at + 1} of ${all.length}`
  part(".facts").textContent = `${name} · ${width} × ${height}`
  part("a").href = original
  part(".previous").disabled = at === 0
  part(".next").disabled = at === all.length - 1
}

async function loadLarge(tile) {
  const large = new Image()
  large.src = tile.querySelector("a").href
  await large.decode().catch(() => {})
  if (tile === shown && large.naturalWidth) image.src = large.src
}

function step(by) {
  const all = tiles(), tile = all[all.indexOf(shown) + by]
  if (tile) show(tile)
}

async function save() {
  const {number} = shown.dataset
  try {
    change(number, await ask("PUT", `/photos/${number}/alt`, new URLSearchParams({alt: alt.value})))
    say("The description is saved")
  } catch (error) {
    tell(error)
  }
}

function replaceImage(file) {
  const {number} = shown.dataset
  const row = upload(file, "PUT", `/photos/${number}/image`, replacements, html => change(number, html))
  row.dataset.number = number
}

async function deleteShown() {
  const tile = shown, all = tiles(), at = all.indexOf(tile)
  try {
    await ask("DELETE", `/photos/${tile.dataset.number}`)
  } catch (error) {
    return tell(error)
  }
  remove(tile)
  say("The photograph is deleted")
  if (shown !== tile) return
  const other = all[at + 1] ?? all[at - 1]
  if (other) show(other)
  else dialog.close()
}

function change(number, html) {
  const tile = replace(number, html)
  if (tile && shown?.dataset.number === number) show(tile)
}

function tell(error) {
  part(".facts").textContent = error.message
  say(error.message)
}

dialog.addEventListener("close", () => {
  const link = shown?.isConnected ? shown.querySelector("a") : document.querySelector("#files")
  link.focus()
  shown = null
})

document.addEventListener("keydown", event => {
  if (!dialog.open || confirmation.open || event.target === alt || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === "ArrowLeft") step(-1)
  if (event.key === "ArrowRight") step(1)
})

part(".close").addEventListener("click", () => dialog.close())
part(".previous").addEventListener("click", () => step(-1))
part(".next").addEventListener("click", () => step(1))

part(".describe").addEventListener("submit", event => {
  event.preventDefault()
  save()
})

part("#replacement").addEventListener("change", ({target}) => {
  for (const file of target.files) replaceImage(file)
  target.value = ""
})

part("[data-does=delete]").addEventListener("click", () => {
  confirmation.querySelector("img").src = shown.dataset.thumb
  confirmation.showModal()
})
confirmation.addEventListener("close", () => {
  if (confirmation.returnValue === "delete") deleteShown()
  confirmation.returnValue = ""
})

let touched = null
const stage = part(".stage")
stage.addEventListener("touchstart", ({touches}) => { touched = touches.length === 1 ? touches[0].clientX : null })
stage.addEventListener("touchend", ({changedTouches: [touch]}) => {
  const moved = touched === null ? 0 : touch.clientX - touched
  if (Math.abs(moved) > 50) step(moved < 0 ? 1 : -1)
})
