// The photographs of the grid. A tile is made by the server; here it gets what the style sheet cannot know.

import {draw} from "./thumbhash.js"

const grid = document.querySelector("#grid")
const total = document.querySelector("#total")
const unit = document.querySelector("#unit")

export const tiles = () => [...grid.querySelectorAll(".tile")]

export function add(html) {
  const tile = made(html)
  grid.prepend(tile)
  dressNew(tile)
  count(1)
  return tile
}

// The new tile; nothing if the old one was deleted meanwhile.
export function replace(number, html) {
  const old = grid.querySelector(`[data-number="${number}"]`)
  if (!old) return null
  const tile = made(html)
  old.replaceWith(tile)
  dressNew(tile)
  return tile
}

export function remove(tile) {
  tile.remove()
  count(-1)
}

export function dress(tile) {
  const image = tile.querySelector("img")
  const canvas = tile.querySelector("canvas")
  const ratio = tile.dataset.width / tile.dataset.height
  tile.style.setProperty("--ratio", Math.min(3, Math.max(.5, ratio)))
  draw(canvas, canvas.dataset.thumbhash)
  if (image.complete) return
  tile.classList.add("loading")
  image.addEventListener("load", () => tile.classList.remove("loading"), {once: true})
}

function dressNew(tile) {
  const image = tile.querySelector("img")
  dress(tile)
  image.getBoundingClientRect()
  image.srcset = image.srcset // it has chosen one before it had a width, and chooses again
}

function made(html) {
  const template = document.createElement("template")
  template.innerHTML = html.trim()
  return document.importNode(template.content, true).firstElementChild
}

function count(change) {
  total.textContent = Number(total.textContent) + change
  unit.textContent = total.textContent === "1" ? "photograph" : "photographs"
}
