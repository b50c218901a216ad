/**
 * A value, a pure function that changes it, and listeners. `useStore` draws a component again when it changed.
 */

import { useEffect, useState } from 'preact/hooks';

export class Store<State, Action> {
  private value: State;
  private readonly listeners = new Set<() => void>();

  constructor(
    initial: State,
    private readonly reduce: (state: State, action: Action) => State,
  ) {
    this.value = initial;
  }

  get state(): State {
    return this.value;
  }

  readonly dispatch = (action: Action): void => {
    const next = this.reduce(this.value, action);
    if (next === this.value) return;
    this.value = next;
    for (const listener of [...this.listeners]) listener();
  };

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function useStore<State, Action>(store: Store<State, Action>): State {
  const [state, setState] = useState(store.state);
  useEffect(() => {
    const update = (): void => {
      setState(() => store.state);
    };
    update();
    return store.subscribe(update);
  }, [store]);
  return state;
}
