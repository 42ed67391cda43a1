// Requests. A file goes by XMLHttpRequest, which tells how much of it was sent; `fetch` does not.

export class Refused extends Error {}

export class Cancelled extends Error {}

export function sendFile(method, url, file, {onProgress, signal}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.upload.addEventListener("progress", event => onProgress(event.loaded / event.total))
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.responseText)
      else reject(errorOf(request.status, request.responseText))
    })
    request.addEventListener("error", () => reject(new Error("The connection was lost.")))
    request.addEventListener("abort", () => reject(new Cancelled()))
    signal.addEventListener("abort", () => request.abort())
    request.open(method, url)
    const form = new FormData()
    form.append("file", file)
    request.send(form)
  })
}

export async function ask(method, url, body) {
  const answer = await fetch(url, {method, body}).catch(() => { throw new Error("The connection was lost.") })
  const text = await answer.text()
  if (!answer.ok) throw errorOf(answer.status, text)
  return text
}

function errorOf(status, text) {
  let detail
  try {
    detail = JSON.parse(text).detail
  } catch {}
  const message = typeof detail === "string" ? detail : "Something went wrong."
  return status < 500 ? new Refused(message) : new Error(message)
}
