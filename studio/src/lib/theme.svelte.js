// Light or dark: as the system has it, unless somebody has chosen.

const system = matchMedia('(prefers-color-scheme: dark)')
const chosen = () => {
  try {
    return localStorage.getItem('duel-theme')
  } catch {
    return null
  }
}

export const theme = $state({ dark: chosen() ? chosen() === 'dark' : system.matches })

function show() {
  document.documentElement.dataset.theme = theme.dark ? 'dark' : 'light'
}
show()
system.addEventListener('change', () => {
  if (!chosen()) {
    theme.dark = system.matches
    show()
  }
})

export function turn() {
  theme.dark = !theme.dark
  try {
    localStorage.setItem('duel-theme', theme.dark ? 'dark' : 'light')
  } catch {
    // private windows keep nothing
  }
  show()
}
