import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { Liquid, filters as library } from 'liquidjs'
import { describe, expect, it } from 'vitest'
import { renderKnownStart, renderTemplate, templateProblems, templateTagNames } from '../../src/pipelines/template.ts'
import { Budget, templateLimits } from '../../src/pipelines/template-budget.ts'
import { templateFilters } from '../../src/pipelines/template-filters.ts'
import { findAll, findFirst, findLast } from '../../src/pipelines/template-search.ts'

const MIB = 1024 * 1024
const limit = expect.objectContaining({ code: 'CAESURA_E_TEMPLATE_LIMIT' })
const render = (source: string, input = '', vars: object = {}) => renderTemplate(source, { input, vars })

/** The same text of so many characters. */
const filled = (unit: string, length = MIB): string => unit.repeat(Math.floor(length / unit.length))

describe('the limits of a rendering', () => {
  it.each([
    ['nested loops', '{% for i in (1..10000) %}{% for j in (1..10000) %}{% endfor %}{% endfor %}', ''],
    ['a range without end', '{% for i in (1..1000000000) %}x{% endfor %}', ''],
    ['a range that is only counted', '{{ (1..100000000) | size }}', ''],
    ['escape after escape', '{{ input | escape | escape | escape | escape | escape | escape | size }}', filled('&')],
    ['escape of a text that is all markup', '{{ input | escape | size }}', filled('<')],
    ['a sort of a million', '{{ input | split: "" | sort_natural | size }}', filled('ba')],
    ['texts that double', '{% for i in (1..40) %}{% assign s = s | append: s %}{% endfor %}', ''],
    ['lists that double', '{% for i in (1..40) %}{% assign l = l | concat: l %}{% endfor %}', ''],
    ['lists that hold themselves twice', `{% assign l = "a,b" | split: "," %}${doubled(40)}{{ l | json }}`, ''],
    ['a replacement that blows up', '{{ input | replace: "a", input | size }}', filled('a', 20_000)],
    [
      'a search for a long text',
      `{% for i in (1..200) %}{{ input | replace_last: vars.b, "" | size }}{% endfor %}`,
      '',
    ],
    ['a comparison of long texts', '{% for i in (1..500) %}{% if input == vars.b %}{% endif %}{% endfor %}', ''],
    [
      'a case of long texts',
      `{% for i in (1..99) %}{% case input %}{% when ${filled('vars.b,', 70)} 1 %}{% endcase %}{% endfor %}`,
      '',
    ],
    [
      'a copy of a long list in each turn',
      '{% assign l = input | split: "," %}{% for i in (1..5000) %}{% for j in l reversed %}{% break %}{% endfor %}{% endfor %}',
      filled('a,', 100_000),
    ],
    ['a capture', '{% capture c %}{% for i in (1..9) %}{{ input }}{% endfor %}{% endcapture %}', filled('a')],
    ['an output', '{{ input }}{{ input }}', filled('a')],
    [
      'a list that is printed',
      '{% assign l = input | split: "" %}{% for i in (1..99) %}{{ l }}{% endfor %}',
      filled('a', 100_000),
    ],
    [
      'conditions without end',
      `{% for i in (1..10000) %}{% if ${'false or '.repeat(1000)} false %}{% endif %}{% endfor %}`,
      '',
    ],
    ['dates in a loop', '{% for i in (1..10000) %}{{ i | date: "%A", "Asia/Tokyo" }}{% endfor %}', ''],
    ['a padded date', '{{ 0 | date: "%100000000d" }}', ''],
    [
      'json that is indented',
      `{% assign l = "a,b" | split: "," %}${pushed(80)}{% for i in (1..3000) %}{{ l | json: 10 | size }}{% endfor %}`,
      '',
    ],
  ])('ends %s', (_, source, input) => {
    const start = `{% assign s = "x" %}{% assign l = "a,b" | split: "," %}${source}`
    expect(templateProblems(start, { stages: [] })).toEqual([])
    const vars = { b: `b${filled('a', MIB - 1)}` }
    expect(() => render(start, input === '' ? `a${filled('a', MIB - 1)}` : input, vars)).toThrow(limit)
    expect(() => renderKnownStart(start, { input: input === '' ? filled('a') : input, vars }, 'draft')).toThrow(limit)
  })

  it('says which limit it was, and what to do', () => {
    const said = (source: string, input: string) => {
      try {
        return render(source, input)
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(said('{{ input }}{{ input }}', filled('a'))).toBe('The template renders to more than 1,048,576 characters.')
    expect(said('{{ input | append: input | append: input | size }}', filled('a'))).toMatch(
      /^The template makes texts and lists of more than 4,194,304/,
    )
    expect(said('{% for i in (1..90000) %}{% assign a = i %}{% endfor %}', '')).toBe(
      'The template needs more work than the rendering of a prompt may take.',
    )
  })

  it('leaves room for what prompts do: a whole input of one MiB, a loop over a thousand lines', () => {
    expect(render('{{ input }}', filled('a'))).toHaveLength(MIB)
    expect(render('{{ input | strip | replace: "b", "c" | truncate: 10 }}', filled('ab '))).toBe('ac ac a...')
    const lines = filled('a line\n', 7000)
    expect(
      render('{% assign l = input | split: "\n" %}{% for i in l %}{{ forloop.index }}: {{ i }};{% endfor %}', lines),
    ).toMatch(/;1000: a line;$/)
    expect(render('{{ input | escape | size }}', filled('plain text & more '))).toMatch(/^\d{7}$/)
  })

  it('counts and does not time: a template ends alike each time', () => {
    const source = '{% for i in (1..100000) %}{{ i }}{% endfor %}'
    const lengths = Array.from({ length: 3 }, () => {
      const known = renderKnownStart(`${source.replace('100000', '50')}{{ draft.output }}`, { input: '' }, 'draft')
      return known.text.length
    })
    expect(new Set(lengths).size).toBe(1)
    for (let i = 0; i < 3; i++) expect(() => render(source)).toThrow(limit)
  })

  it('ends every template of the filters that there are, whatever the input: in a text within the limit, or with the code', () => {
    const argument = fc.constantFrom('input', '""', '"a"', '", "', '3', '100000', 'vars.long', 'l', '"value.x"')
    const filter = fc
      .tuple(fc.constantFrom(...Object.keys(templateFilters)), fc.array(argument, { maxLength: 2 }))
      .map(([name, args]) => `| ${name}${args.length === 0 ? '' : `: ${args.join(', ')}`} `)
    const step = fc.oneof(
      fc.array(filter, { minLength: 1, maxLength: 3 }).map((all) => `{% assign l = l ${all.join('')}%}`),
      fc.array(filter, { maxLength: 3 }).map((all) => `{{ input ${all.join('')}}}`),
      fc.array(filter, { maxLength: 2 }).map((all) => `{% for i in l %}{{ i ${all.join('')}}}{% endfor %}`),
      fc.constantFrom(
        '{% if l contains input %}y{% endif %}',
        '{% if l == input %}y{% endif %}',
        '{% capture l %}{{ l }}{{ input }}{% endcapture %}',
      ),
    )
    const unit = fc.constantFrom('a', '&', 'a,', '<b> ', '😀', 'é\n', '\u0000', ' ', '"')
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 4 }),
        unit,
        fc.constantFrom(10, 10_000, 300_000),
        (steps, text, length) => {
          const source = `{% assign l = input | split: "a" %}${steps.join('')}`
          try {
            expect(render(source, filled(text, length), { long: filled('ab', length) }).length).toBeLessThanOrEqual(
              templateLimits.output,
            )
          } catch (error) {
            expect(error).toEqual(
              expect.objectContaining({ code: expect.stringMatching(/^CAESURA_E_TEMPLATE(_LIMIT)?$/) }),
            )
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

function doubled(times: number): string {
  return '{% assign l = l | push: l %}'.repeat(times)
}
function pushed(times: number): string {
  return '{% assign l = input | slice: 0 | concat: l | push: "x" %}'.repeat(times)
}

describe('the filters of our own', () => {
  const liquid = new Liquid({ jsTruthy: true })
  const theirs = (source: string, values: object) => liquid.parseAndRenderSync(source, values)
  const unit = fc.constantFrom('a', 'b', 'aa', '&', '&amp;', '<', '"', ',', '')
  const text = fc.array(unit, { maxLength: 12 }).map((parts) => parts.join(''))

  it.each([
    'escape',
    'escape_once',
    'xml_escape',
    'json',
    'split: p | join: "|"',
    'replace: p, q',
    'replace_first: p, q',
    'replace_last: p, q',
    'remove: p',
    'remove_first: p',
    'remove_last: p',
    'split: "" | sort | join',
    'split: "," | sort_natural | join: ";"',
    'split: "," | sum',
    'split: p | json',
    'split: "" | has: "size"',
  ])('say what those of the library say: %s', (filter) => {
    const values = (input: string, p: string, q: string) => ({ input, vars: { p, q } })
    const ours = filter.replace(/\b([pq])\b/g, 'vars.$1')
    fc.assert(
      fc.property(text, text, text, (input, p, q) => {
        const source = `{{ input | ${ours} }}`
        expect(renderTemplate(source, values(input, p, q))).toBe(theirs(source, values(input, p, q)))
      }),
    )
  })

  it('read properties of mappings, by a path too', () => {
    const items = [
      { output: 'b', value: { score: 2 }, settlement: 'completed' },
      { output: 'a', value: { score: 10 }, settlement: 'failed' },
      { output: 'C', value: null, settlement: 'completed' },
    ]
    const of = (filters: string) => renderTemplate(`{{ each.items | ${filters} }}`, { each: { items } })
    expect(of('map: "value.score" | json')).toBe('[2,10,null]')
    expect(of('where: "settlement", "completed" | map: "output" | join')).toBe('b C')
    expect(of('reject: "value" | map: "output" | join')).toBe('C')
    expect(of('sort: "value.score" | map: "output" | join')).toBe('b a C')
    expect(of('sort_natural: "output" | map: "output" | join')).toBe('a b C')
    expect(of('sum: "value.score"')).toBe('12')
    expect(of('find_index: "output", "a"')).toBe('1')
    expect(
      renderTemplate('{% assign i = each.items | find: "output", "a" %}{{ i.value.score }}', { each: { items } }),
    ).toBe('10')
    expect(of('has: "constructor"')).toBe('false')
  })

  it('are listed in the documentation, and so are the tags', () => {
    const page = readFileSync('docs/pipelines.md', 'utf8')
    const table = /\*\*Filters\*\*[\s\S]*?\n\n`check` refuses/.exec(page)![0]
    expect(
      [...table.matchAll(/`(\w+)`/g)]
        .map(([, name]) => name!)
        .filter((name) => name !== 'check')
        .sort(),
    ).toEqual(Object.keys(templateFilters).sort())
    const tags = /\*\*Tags\*\*: (.*)\./.exec(page)![1]!
    expect([...tags.matchAll(/`([\w#]+)`/g)].map(([, name]) => name!).sort()).toEqual([...templateTagNames].sort())
  })

  it('are all there but those whose cost does not grow in step with what they get', () => {
    const missing = Object.keys(library).filter((name) => !(name in templateFilters))
    expect(missing.filter((name) => !name.endsWith('_exp')).sort()).toEqual([
      'group_by',
      'inspect',
      'jsonify',
      'sample',
      'slugify',
      'strip_html',
    ])
  })
})

describe('the search', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 80 })

  it('finds what the language finds, also beyond the length from which it is one of our own', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(text, pattern, text, (before, wanted, after) => {
        const whole = before + wanted + after
        expect([...findAll(whole, wanted, new Budget())]).toEqual(
          [...whole.matchAll(new RegExp(wanted, 'g'))].map(({ index }) => index),
        )
        expect(findFirst(whole, wanted, new Budget())).toBe(whole.indexOf(wanted))
        expect(findLast(whole, wanted, new Budget())).toBe(whole.lastIndexOf(wanted))
      }),
    )
  })

  it('pays in proportion to the text and the pattern', () => {
    const work = (length: number) => {
      const budget = new Budget()
      findLast(filled('a', length), `${filled('a', length / 2)}b`, budget)
      return budget.work / length
    }
    expect(work(100_000)).toBeCloseTo(work(1_000_000), 0)
  })
})
