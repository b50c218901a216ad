import { describe, expect, it } from 'vitest';
import { cleanName, cleanRoom, MAX_NAME_LENGTH, parseRoute, roomPath } from '../../src/model/route';

describe('the address of the page', () => {
  it('names no room at the root', () => {
    expect(parseRoute('/', '')).toEqual({ room: '', token: '' });
  });

  it('names the room after /meet/', () => {
    expect(parseRoute('/meet/garden', '').room).toBe('garden');
    expect(parseRoute('/meet/garden/', '').room).toBe('garden');
  });

  it('carries a token only in the fragment', () => {
    expect(parseRoute('/meet/garden', '#token=a.b.c').token).toBe('a.b.c');
    expect(parseRoute('/meet/garden', '#other=1&token=a.b.c').token).toBe('a.b.c');
    expect(parseRoute('/meet/garden', '#a.b.c').token).toBe('');
  });

  it.each(['garden', 'Grüner Salon', '100%', '?x=#y', '会議'])('leads back to the room %s', (room) => {
    expect(parseRoute(`/${roomPath(room)}`, '').room).toBe(room);
  });

  it('has no slash in a room’s name, which would read as a step of the path', () => {
    expect(cleanRoom('a/b\\c')).toBe('a b c');
  });

  it('takes a broken escape as it stands instead of failing', () => {
    expect(parseRoute('/meet/50%zz', '').room).toBe('50%zz');
  });
});

describe('a typed name', () => {
  it('loses control characters and surplus space', () => {
    expect(cleanName('  Ana \n\t Maria\u0007 ')).toBe('Ana Maria');
  });

  it('is bounded in characters without cutting one apart', () => {
    const name = cleanName('🌿'.repeat(MAX_NAME_LENGTH + 5));
    expect(Array.from(name)).toHaveLength(MAX_NAME_LENGTH);
    expect(name.endsWith('🌿')).toBe(true);
  });
});
