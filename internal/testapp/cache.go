package testapp

import (
	"context"
	"sync"

	"hotswap/driver"
)

// Cache keeps answers that come from a database. It shows both ways of living
// with swaps. OnSwap drops everything, which frees the memory and is done
// before a push returns; but calls flow again just before that, and one of them
// could still get an old answer. So each entry also carries the generation from
// before its query ran, and counts only as long as that is the database's: no
// answer is ever stale.
type Cache struct {
	generation func() uint64

	mu      sync.Mutex // guards entries and drops; no query runs under it
	entries map[string]cacheEntry
	drops   int
}

type cacheEntry struct {
	generation uint64
	value      Seen
}

// newCache makes a cache of answers that come from db. cancel ends its
// interest in swaps.
func newCache(db *driver.Database) (c *Cache, cancel func()) {
	c = &Cache{generation: db.Generation, entries: make(map[string]cacheEntry)}
	return c, db.OnSwap(func(driver.Swap) { c.drop() })
}

func (c *Cache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.drops++
}

// get returns the answer for key, by way of query if there is none that is
// current.
func (c *Cache) get(ctx context.Context, key string, query func(context.Context) (Seen, error)) (Seen, error) {
	generation := c.generation()
	c.mu.Lock()
	e, ok := c.entries[key]
	c.mu.Unlock()
	if ok && e.generation == generation {
		return e.value, nil
	}
	value, err := query(ctx)
	if err != nil {
		return Seen{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[key] = cacheEntry{generation, value}
	return value, nil
}

// Len is how many answers are kept, current or not.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// Drops is how often a swap has dropped everything.
func (c *Cache) Drops() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drops
}
