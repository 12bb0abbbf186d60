// Numbers, times and states for people.

export function number(value, digits = 4) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–'
  const text =
    Number.isInteger(value) && Math.abs(value) < 1e15
      ? value.toLocaleString('en')
      : Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4)
        ? value.toExponential(2)
        : String(Number(value.toPrecision(digits)))
  return text.replace('-', '−')
}

export function between(metric) {
  if (!metric || typeof metric.low !== 'number' || typeof metric.high !== 'number') return ''
  return `${number(metric.low, 3)} to ${number(metric.high, 3)}`
}

export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`

export const percent = (share) => `${Math.round(share * 100)} %`

const STATES = {
  done: 'done',
  training: 'training',
  killed: 'cut short',
  interrupted: 'interrupted',
  stopped: 'stopped early',
  nonfinite: 'diverged',
  failed: 'failed',
  unreadable: 'unreadable',
}
export const stateWord = (state) => STATES[state] || state
export const stateKind = (state) =>
  ({ done: 'good', training: 'live', nonfinite: 'bad', failed: 'bad', unreadable: 'bad' })[state] || 'soft'

export function day(text) {
  const date = new Date(text)
  return Number.isNaN(date.getTime())
    ? ''
    : date.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
}

export const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches
