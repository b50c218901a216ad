import { describe, expect, it } from 'vitest';
import { EMPTY_ORDER, reorder, type Ordering } from '../../src/model/order';
import type { Person } from '../../src/model/people';
import { people, person } from '../fixtures';

const speaking = (who: readonly Person[], ...identities: string[]): Person[] =>
  who.map((one) => ({ ...one, speaking: identities.includes(one.identity) }));

const after = (updates: readonly (readonly Person[])[], firstPage: number): Ordering =>
  updates.reduce((order, update) => reorder(order, update, firstPage), EMPTY_ORDER);

describe('the order of tiles', () => {
  it('is the order of arrival', () => {
    const first = [person('b'), person('a')];
    const order = after([first, [person('c'), ...first]], 9);
    expect(order.identities).toEqual(['b', 'a', 'c']);
  });

  it('closes the gap of somebody who left', () => {
    const order = after([people(4), people(4).filter((one) => one.identity !== 'p1')], 9);
    expect(order.identities).toEqual(['p0', 'p2', 'p3']);
  });

  it('moves nobody when a person on the first page speaks', () => {
    const order = after([people(6), speaking(people(6), 'p2')], 4);
    expect(order.identities).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5']);
  });

  it('lets a speaker from a later page trade places with whoever was silent longest', () => {
    const order = after([people(6), speaking(people(6), 'p3'), speaking(people(6), 'p1'), speaking(people(6), 'p5')], 4);
    expect(order.identities).toEqual(['p0', 'p1', 'p5', 'p3', 'p4', 'p2']);
  });

  it('never moves oneself or somebody who speaks', () => {
    const everybody = speaking(people(4), 'p1', 'p2');
    expect(after([people(4), everybody], 2).identities).toEqual(['p0', 'p1', 'p2', 'p3']);
  });

  it('stays the same object while nothing moves', () => {
    const before = after([people(5)], 9);
    expect(reorder(before, speaking(people(5), 'p1'), 9).identities).toBe(before.identities);
  });

  it('forgets when somebody who left was heard', () => {
    const order = after([speaking(people(3), 'p2'), people(2)], 9);
    expect([...order.heard.keys()]).toEqual([]);
  });
});
