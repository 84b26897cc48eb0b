import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NodeWish } from '../../src/core/call.ts'
import type { Pipeline } from '../../src/core/pipeline.ts'
import { candidatesFor, hasModel, isSameModel, nobodyTakes, placementCheck } from '../../src/core/placement.ts'
import { pipelineFrom } from '../fixtures/pipeline.ts'

const wish = (more: Partial<NodeWish> = {}): NodeWish => ({ model: 'm', placement: 'any', ...more })
const names = (nodes: readonly { readonly name: string }[]) => nodes.map(({ name }) => name)

describe('the models of a node', () => {
  it('are the same by the name with the tag :latest and by the one without', () => {
    expect(isSameModel('foo', 'foo:latest')).toBe(true)
    expect(isSameModel('foo:latest', 'foo')).toBe(true)
    expect(isSameModel('foo', 'foo:1b')).toBe(false)
    expect(isSameModel('foo:latest', 'foo:1b')).toBe(false)
  })

  it('are any where no list is known, and none where the list is empty', () => {
    expect(hasModel(undefined, 'constructor')).toBe(true)
    expect(hasModel([], 'm')).toBe(false)
    expect(hasModel(['constructor'], 'constructor')).toBe(true)
  })
})

describe('the nodes that may take a call', () => {
  const nodes = [{ name: 'a', models: ['m'] }, { name: 'b', models: ['n'] }, { name: 'c' }]

  it('are those that have its model', () => {
    expect(names(candidatesFor(nodes, wish()))).toEqual(['a', 'c'])
    expect(names(candidatesFor(nodes, wish({ model: 'x' })))).toEqual(['c'])
  })

  it('are of these the one that it names', () => {
    expect(names(candidatesFor(nodes, wish({ node: 'a', placement: 'other', previousNode: 'a' })))).toEqual(['a'])
    expect(candidatesFor(nodes, wish({ node: 'b' }))).toEqual([])
  })

  it('heed the placement, and without such a node are any only where that is asked for', () => {
    expect(names(candidatesFor(nodes, wish({ placement: 'same', previousNode: 'a' })))).toEqual(['a'])
    expect(names(candidatesFor(nodes, wish({ placement: 'other', previousNode: 'a' })))).toEqual(['c'])
    expect(candidatesFor(nodes, wish({ placement: 'same', previousNode: 'b' }))).toEqual([])
    expect(names(candidatesFor(nodes, wish({ placement: 'same', previousNode: 'b', otherwise: 'any' })))).toEqual([
      'a',
      'c',
    ])
    expect(names(candidatesFor(nodes, wish({ placement: 'same' })))).toEqual(['a', 'c'])
  })

  it('never lack the model, whatever is asked for', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd')
    const model = fc.constantFrom('m', 'm:latest', 'n', 'constructor', '__proto__')
    const node = fc.record({ name, models: fc.option(fc.array(model, { maxLength: 3 }), { nil: undefined }) })
    const asked = fc.record(
      {
        model,
        placement: fc.constantFrom('any', 'same', 'other'),
        otherwise: fc.constant('any'),
        previousNode: name,
        node: name,
      },
      { requiredKeys: ['model', 'placement'] },
    )
    fc.assert(
      fc.property(fc.uniqueArray(node, { selector: (each) => each.name }), asked, (fleet, one) => {
        for (const each of candidatesFor(fleet, one as NodeWish)) expect(hasModel(each.models, one.model)).toBe(true)
      }),
    )
  })
})

describe('a model that no node lists', () => {
  const nodes = [
    { name: 'told', models: ['n'] },
    { name: 'asked', models: ['n'], isAsked: true },
  ]

  it('is asked of the nodes whose server was asked for its list, and of no other', () => {
    expect(names(candidatesFor(nodes, wish()))).toEqual(['asked'])
    expect(names(candidatesFor(nodes, wish({ model: 'n' })))).toEqual(['told', 'asked'])
    expect(candidatesFor(nodes, wish({ node: 'told' }))).toEqual([])
  })

  it('is not asked of them where a node that lists it is left out by the placement', () => {
    const listing = [...nodes, { name: 'lists', models: ['m'] }]
    expect(candidatesFor(listing, wish({ placement: 'other', previousNode: 'lists' }))).toEqual([])
  })
})

describe('why nobody takes a call', () => {
  it('names the node that it wanted, or the model, the placement and the nodes', () => {
    expect(nobodyTakes(wish({ node: 'a' }), ['a'])).toBe('the node a takes no calls for the model m')
    expect(nobodyTakes(wish(), [], ' of the fleet')).toBe(
      'no node of the fleet takes calls for the model m; nodes: none',
    )
    expect(nobodyTakes(wish({ placement: 'other', previousNode: 'a' }), ['a', 'b'])).toBe(
      'no node takes calls for the model m with placement other (before: a); nodes: a, b',
    )
    expect(nobodyTakes(wish({ previousNode: 'a' }), ['a'])).toBe('no node takes calls for the model m; nodes: a')
  })
})

describe('a pipeline whose placement no node can satisfy', () => {
  const pipelineOf = (placement: unknown): Pipeline =>
    pipelineFrom({
      name: 'p',
      stages: [
        { id: 's1', model: 'm', prompt: '{{ input }}', policy: { placement } },
        { id: 's2', model: 'm', prompt: '{{ s1.output }}' },
      ],
    })

  it('is refused where there is one node, and where that node is asked for another', () => {
    const check = placementCheck(['only'])
    expect(() => check(pipelineOf('other'))).toThrow('stage s1 wants another node, and there is only one')
    for (const placement of ['any', 'same', { other: { otherwise: 'any' } }]) check(pipelineOf(placement))
    placementCheck(['a', 'b'])(pipelineOf('other'))
  })
})
