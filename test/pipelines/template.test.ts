import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  mentionsInterruptInput,
  renderKnownStart,
  renderTemplate,
  templateProblems,
} from '../../src/pipelines/template.ts'

const scope = { input: 'Q', draft: { output: 'D' }, 'my-stage': { output: 'M' }, interrupt: {}, vars: { tone: 'kind' } }
const render = (source: string, more: object = {}) => renderTemplate(source, { ...scope, ...more })
const check = (source: string) => templateProblems(source, { stages: ['draft', 'my-stage'] })

describe('a template', () => {
  it('sees input, outputs, the interrupt and vars', () => {
    const source =
      '{{ input }} {{ draft.output }} {{my-stage.output-}} {{- interrupt.input }}{{ interrupt.at }} {{ vars.tone }}'
    expect(check(source)).toEqual([])
    expect(render(source, { interrupt: { input: 'X', at: 12.5 } })).toBe('Q D MX12.5 kind')
  })

  it('takes an absent change as false, and prints nothing for it', () => {
    const source = '{% if interrupt.input %}Change: {{ interrupt.input }}{% else %}none{% endif %}'
    expect(check(source)).toEqual([])
    expect([
      render(source),
      render(source, { interrupt: { input: undefined } }),
      render(source, { interrupt: undefined }),
    ]).toEqual(['none', 'none', 'none'])
    expect(render(source, { interrupt: { input: 'no' } })).toBe('Change: no')
    expect(render('<{{ interrupt.input }}{{ interrupt.at }}>')).toBe('<>')
  })

  it('takes an empty output as false', () => {
    expect(render('{% if draft.output %}yes{% else %}no{% endif %}', { draft: { output: '' } })).toBe('no')
  })

  it('may ask for a var that was not given, but not print it', () => {
    expect(render('{% if vars.x %}a{% endif %}{{ vars.x | default: "b" }}')).toBe('b')
    expect(() => render('{{ vars.x }}')).toThrow(expect.objectContaining({ code: 'CAESURA_E_TEMPLATE' }))
  })

  it('reads nothing in a value as a template', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('{{ draft.output }}', '{% raw %}', '{%- if true -%}', '}}{{', '{% include "/etc/passwd" %}'),
    )
    fc.assert(
      fc.property(text, text, text, (input, output, change) => {
        const values = { input, draft: { output }, interrupt: { input: change }, vars: { v: input } }
        expect(render('[{{ input }}|{{ draft.output }}|{{ vars.v }}]', values)).toBe(`[${input}|${output}|${input}]`)
        expect(render('{{ interrupt.input | append: input }}', values)).toBe(change + input)
      }),
    )
  })

  it.each([
    ['an unknown name', 'a\nb {{ drft.output }}', 7, 'names something that is not there', 'drft.output'],
    ['an unknown property', '{{ draft.outptu }}', 3, 'names something that is not there', 'draft.outptu'],
    ['the interrupt as a whole', '{{ interrupt }}', 3, 'names something that is not there', 'interrupt'],
    ['a property of the input', '{{ input.constructor }}', 3, 'names something that is not there', 'input.constructor'],
    ['a prototype', '{{ __proto__ }}', 3, 'names something that is not there', '__proto__'],
    ['an unknown filter', '{{ input | upcas }}', 9, 'uses an unknown filter', 'upcas'],
    [
      'a filter that reads an expression',
      '{{ input | find_exp: "x", input }}',
      9,
      'uses an unknown filter',
      'find_exp',
    ],
    ['an object method as a filter', '{{ input | constructor }}', 9, 'uses an unknown filter', 'constructor'],
    ['an open output', 'ab {{ input', 3, 'does not hold: output "{{ input" not closed', '{{ input'],
    ['an open block', '{% if input %}', 0, 'does not hold: tag {% if input %} not closed', '{% if input %}'],
    ['an unknown tag', '{% fi %}', 0, 'does not hold: tag "fi" not found', '{% fi %}'],
    ['a file', '{% include "x" %}', 0, 'does not hold: tag "include" not found', '{% include "x" %}'],
    ['a layout', '{% layout "x" %}', 0, 'does not hold: tag "layout" not found', '{% layout "x" %}'],
  ])('is refused for %s, with its place', (_, source, offset, message, received) => {
    expect(check(source)).toEqual([expect.objectContaining({ offset, message, received })])
  })

  it('tells all unknown names at once, in the order of the text', () => {
    expect(check('{{ b }} {{ a }} {{ b }}').map(({ offset }) => offset)).toEqual([3, 11, 19])
  })

  it.each(['slugify', 'strip_html', 'sample', 'group_by', 'inspect'])(
    'is refused for %s: no filter whose cost or result cannot be told',
    (name) => {
      const [problem, ...others] = check(`{{ input | ${name} }}`)
      expect(others).toEqual([])
      expect(problem).toMatchObject({
        offset: 9,
        message: 'uses a filter of Liquid that prompts do not have',
        received: name,
        expected: expect.stringContaining('upcase'),
      })
    },
  )

  it.each(['tablerow i in (1..2)', 'cycle "a", "b"', 'render "x"'])('is refused for the tag %s', (tag) => {
    expect(check(`{% ${tag} %}`)[0]!.message).toMatch(/^does not hold: tag "\w+" not found$/)
  })

  it('has limits of nesting and of size, for code far smaller ones than for text', () => {
    expect(check(`{{input${'[i'.repeat(8000)}}}`)[0]!.message).toBe('is nested too deeply')
    expect(check('x'.repeat(1_200_000))).toEqual([expect.objectContaining({ message: 'is too long' })])
    expect(check(`${'x'.repeat(1_000_000)}{{ input }}`)).toEqual([])
    const code = '{{ input }}'.repeat(1500)
    expect(check(code)).toEqual([
      {
        offset: 0,
        message: 'has too much between {{ }} and {% %}',
        received: '16,500 characters',
        expected: 'at most 16,384 characters',
      },
    ])
    expect(() => render(code)).toThrow(expect.objectContaining({ code: 'CAESURA_E_TEMPLATE' }))
  })

  it('tells of a thousand unknown names far down in a long text', () => {
    const problems = check(`${'\n'.repeat(1_000_000)}${'{{ nobody }}'.repeat(1000)}`)
    expect(problems).toHaveLength(1000)
    expect(problems[999]).toMatchObject({ offset: 1_000_000 + 999 * 12 + 3, received: 'nobody' })
  })

  it('either holds or has problems, whatever is written: a template that holds renders', () => {
    const piece = fc.constantFrom(
      '{{',
      '}}',
      '{%',
      '%}',
      ' if ',
      ' input ',
      'draft.output',
      '|',
      'upcase',
      'endif',
      '"',
      "'",
      '[',
      '-',
      '\n',
      'for x in input',
      'endfor',
      'é',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const source = pieces.join('')
        for (const { offset } of check(source)) expect(offset >= 0 && offset <= source.length).toBe(true)
      }),
    )
  })

  it('knows whether it asks for the change', () => {
    expect(mentionsInterruptInput('{% if interrupt.input %}x{% endif %}')).toBe(true)
    expect([mentionsInterruptInput('{{ input }} interrupt.input'), mentionsInterruptInput('{{')]).toEqual([
      false,
      false,
    ])
  })
})

describe('what is known of a template before a stage has answered', () => {
  const parts = fc.constantFrom(
    'text ',
    '{{ input }}',
    '{{ my-stage.output }}',
    '{{ draft.output }}',
    '{{ interrupt.input }}',
    '{{ interrupt.at }}',
    '{{ vars.tone | upcase }}',
    '{{ vars.none | default: draft.output }}',
    '{{ input | split: "" }}',
    '{% if draft.output %}yes{% else %}no{% endif %}',
    '{%- if interrupt.input -%} change {%- endif %} ',
    '{% if vars.tone %}a{{ interrupt.input }}b{% endif %}',
    '{% for i in (1..2) %}{{ i }}{{ forloop.last }}{{ draft.output }}{% endfor %}',
    '{% assign x = input %}{{ x }}',
    '{% capture y %}c{{ draft.output }}{% endcapture %}{{ y }}',
    '{% case interrupt.input %}{% when "X" %}x{% else %}y{% endcase %}',
  )
  const texts = fc.constantFrom('', 'X', ' ', '{{ input }}', 'null', '\u0000')

  it('is the beginning of what it renders to, whatever comes; and all of it where nothing is asked for', () => {
    fc.assert(
      fc.property(
        fc.array(parts, { maxLength: 6 }),
        texts,
        fc.option(texts, { nil: undefined }),
        (all, output, input) => {
          const source = all.join('')
          const start = renderKnownStart(source, scope, 'draft')
          const whole = render(source, { draft: { output }, interrupt: input === undefined ? {} : { input, at: 1.5 } })
          expect(whole.startsWith(start.text)).toBe(true)
          expect(start.isCut).toBe(/draft|interrupt/.test(source))
          if (!start.isCut) expect(start.text).toBe(whole)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('goes as far as the first place that asks', () => {
    const source = 'Q {{ input }}{% if vars.tone %} {{ vars.tone }} {{ draft.output }}{% endif %} end'
    expect(renderKnownStart(source, scope, 'draft')).toEqual({ text: 'Q Q kind ', isCut: true })
    expect(renderKnownStart(source, scope, 'my-stage')).toEqual({ text: 'Q Q kind D end', isCut: false })
  })

  it('fails as rendering does where a variable was not given', () => {
    expect(() => renderKnownStart('{{ vars.none }}', scope, 'draft')).toThrow(/vars\.none|none/)
  })
})
