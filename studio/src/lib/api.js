// Requests to the studio's own server; errors come as sentences.

export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence)
    this.status = status
  }
}

async function answered(response) {
  if (response.ok) return response
  let sentence = `the studio answered ${response.status}`
  try {
    sentence = (await response.json()).error || sentence
  } catch {
    // no JSON: the status is all there is
  }
  throw new Refused(response.status, sentence)
}

async function request(address, options) {
  let response
  try {
    response = await fetch(address, options)
  } catch {
    throw new Refused(0, 'the studio does not answer: is it still running?')
  }
  return answered(response)
}

// Why a picture did not come: what the studio says of it now, or null where it comes.
export async function whyNot(address) {
  try {
    await request(address)
    return null
  } catch (e) {
    return e
  }
}

export async function get(address) {
  return (await request(address)).json()
}

export async function post(address, value = {}) {
  const headers = { 'Content-Type': 'application/json', 'X-Duel': 'studio' }
  return (await request(address, { method: 'POST', headers, body: JSON.stringify(value) })).json()
}

export async function send(address, blob) {
  const headers = { 'Content-Type': 'application/octet-stream', 'X-Duel': 'studio' }
  return (await request(address, { method: 'POST', headers, body: blob })).json()
}

// A run's or data set's name as part of an address; trials of studies have slashes in theirs.
export const named = (name) => name.split('/').map(encodeURIComponent).join('/')

export const query = (values) => {
  const given = Object.entries(values).filter(([, v]) => v !== '' && v !== null && v !== undefined && v !== 0)
  return new URLSearchParams(given.map(([k, v]) => [k, String(v)])).toString()
}

// New whole lines of a run's log. `place` is {next, file}; a log that was written anew starts again (`fresh`).
export async function lines(name, place) {
  const asked = new URLSearchParams({ after: place.next, file: place.file })
  const response = await request(`/api/runs/${named(name)}/events?${asked}`)
  const file = response.headers.get('X-File')
  const fresh = place.file !== '' && file !== place.file
  const events = []
  for (const line of (await response.text()).split('\n')) {
    if (!line) continue
    try {
      events.push(JSON.parse(line))
    } catch {
      try {
        events.push(JSON.parse(line.replace(/\b(NaN|-?Infinity)\b/g, 'null')))
      } catch {
        // a line that was cut off
      }
    }
  }
  return {
    events,
    fresh,
    more: response.headers.get('X-More') === '1',
    place: { next: Number(response.headers.get('X-Next')), file },
  }
}

// Calls `work` now and then every `seconds`, not while the tab is hidden; returns how to end that.
export function every(seconds, work) {
  let timer = 0
  let ended = false
  let busy = false
  async function turn() {
    clearTimeout(timer)
    if (ended || document.hidden || busy) return
    busy = true
    try {
      await work()
    } finally {
      busy = false
    }
    if (!ended) timer = setTimeout(turn, seconds * 1000)
  }
  const shown = () => !document.hidden && turn()
  document.addEventListener('visibilitychange', shown)
  turn()
  return () => {
    ended = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', shown)
  }
}
