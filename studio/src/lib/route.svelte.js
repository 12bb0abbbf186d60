// Where we are: #/page/name?key=value. Everything that is seen can be found again by its address.

function read() {
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const [page, ...name] = path.split('/')
  let decoded = ''
  try {
    decoded = decodeURIComponent(name.join('/'))
  } catch {
    // an address that was cut off
  }
  return { page: page || 'runs', name: decoded, params: Object.fromEntries(new URLSearchParams(search)) }
}

export const route = $state(read())

function update() {
  Object.assign(route, read())
}

window.addEventListener('hashchange', update)

export function address(page, name = '', params = {}) {
  const given = Object.entries(params).filter(([, v]) => v !== '' && v !== null && v !== undefined)
  const search = new URLSearchParams(given.map(([k, v]) => [k, String(v)])).toString()
  return `#/${page}${name ? `/${encodeURIComponent(name)}` : ''}${search ? `?${search}` : ''}`
}

export function go(page, name, params) {
  location.hash = address(page, name, params)
}

// Changes of the view within a page: they are in the address, and make no entry of their own in the history.
export function view(changes) {
  const params = { ...route.params, ...changes }
  history.replaceState(null, '', address(route.page, route.name, params))
  route.params = Object.fromEntries(
    Object.entries(params)
      .filter(([, v]) => v !== '' && v !== null && v !== undefined)
      .map(([k, v]) => [k, String(v)]),
  )
}
