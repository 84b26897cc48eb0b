import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')
const files = globSync(
  ['*.{md,ts,json,yml,mjs}', 'Dockerfile', '.ci/run', '{bench,deploy,docs,examples,models,scripts,src,test}/**/*.*'],
  { cwd: root, exclude: ['**/node_modules', '**/recordings'] },
).filter((file) => !/\.(png|gguf|sqlite)$/.test(file) && basename(file) !== basename(import.meta.filename))

/** npm's `caesura` is somebody else's: to run it or to import it is never meant. */
const strangers = [
  /\bnpx (-\S+ )*caesura(?![\w-])/,
  /'npx'(, *'-[^']*')*, *'caesura'/,
  /\b(from|import|require\() *\(?['"]caesura['"]/,
  /\bnpm (i|install) (-\S+ )*caesura(?![\w-])/,
]

describe('the name of the package', () => {
  it('is caesura-engine, wherever it stands, and its command is caesura', () => {
    const { name, bin } = JSON.parse(read('package.json'))
    const { name: locked, packages } = JSON.parse(read('package-lock.json'))
    expect([name, locked, packages[''].name]).toEqual(['caesura-engine', 'caesura-engine', 'caesura-engine'])
    expect(Object.keys(bin)).toEqual(['caesura'])
  })

  it('is never the one of the stranger', () => {
    expect(files.length).toBeGreaterThan(500)
    const found = files.filter((file) => strangers.some((pattern) => pattern.test(read(file))))
    expect(found).toEqual([])
  })

  it.each(["import x from 'caesura'", 'npx caesura explain', 'npx -y caesura run', 'npm install caesura'])(
    'would be seen in: %s',
    (text) => expect(strangers.some((pattern) => pattern.test(text))).toBe(true),
  )
})
