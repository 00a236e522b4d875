package attn

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"qpt/internal/num"
	"qpt/kernels/internal/mem"
)

// PageLen is how many positions a page of a cache holds: whole blocks, as many as a
// call of assembly takes.
const PageLen = 32 * attnBlocks

// ErrBudget is matched by the errors of caches whose pool has no room for another page.
var ErrBudget = errors.New("the pool of keys and values is full")

// Pool hands out pages to caches, within a budget of bytes. Pages that come back are
// kept for the next cache of their size. Safe for use by any number of caches at once.
type Pool struct {
	budget int64

	mu      sync.Mutex
	layouts map[layout]*layout
	free    map[int][]*page // by bytes of a page
	used    int64           // bytes of pages that caches hold, shared ones once
	spare   int64           // of those in free
}

// maxSpare bounds the pages that a pool without a budget keeps.
const maxSpare = 64 << 20

// NewPool makes a pool whose pages take up to budget bytes; 0 means any number.
func NewPool(budget int64) *Pool {
	return &Pool{budget: budget, layouts: map[layout]*layout{}, free: map[int][]*page{}}
}

// Used is the bytes of the pages that caches hold now, shared ones counted once.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

// Budget is what NewPool was given.
func (p *Pool) Budget() int64 { return p.budget }

// page is the keys and values of PageLen positions. With more than one reference
// nothing may be written to it.
type page struct {
	refs atomic.Int32
	data []byte // [heads][parts][PageLen*hd]; I8: then scales [heads][parts][PageLen] float32
}

// layout is what the pages of all caches of one kind have in common. It is its own key in Pool.layouts.
type layout struct {
	Type    KVType
	heads   int
	headDim int
	hd      int // headDim padded to whole blocks
	size    int // bytes of an element
	parts   int // 2: keys and values; 1: keys alone
	valDim  int // of a value: headDim, or of keys alone so many of their first columns
}

// layoutOf is the layout of keys and values, or if values is not 0 of keys alone, whose first columns they are.
func layoutOf(t KVType, heads, headDim, values int) layout {
	l := layout{Type: t, heads: heads, headDim: headDim, hd: num.Pad(headDim, 32), size: map[KVType]int{KVF32: 4, KVBF16: 2, KVI8: 1}[t], parts: 2, valDim: headDim}
	if values != 0 {
		l.parts, l.valDim = 1, values
	}
	if l.size == 0 || heads <= 0 || headDim <= 0 || l.valDim < 0 || l.valDim > headDim {
		panic(fmt.Sprintf("attn: cache of type %d, %d heads of %d, values of %d", t, heads, headDim, values))
	}
	return l
}

// pageBytes is the size of a page.
func (l *layout) pageBytes() int {
	n := l.heads * l.parts * PageLen * l.hd * l.size
	if l.Type == KVI8 {
		n += l.heads * l.parts * PageLen * 4
	}
	return n
}

// part returns the keys (0) or values (1) of a head in a page.
func (l *layout) part(pg *page, head, which int) []byte {
	n := PageLen * l.hd * l.size
	return pg.data[(head*l.parts+which)*n:][:n]
}

// scales returns the scales of an I8 page, of a head's keys (0) or values (1) and all that follow.
func (l *layout) scales(pg *page, head, which int) []float32 {
	n := ((l.heads-head)*l.parts - which) * PageLen
	return unsafe.Slice((*float32)(unsafe.Pointer(&pg.data[len(pg.data)-4*n])), n)
}

// PageBytes is what PageLen positions of a cache take: of NewKV if values is 0, else of NewKeys.
func PageBytes(t KVType, heads, headDim, values int) int {
	l := layoutOf(t, heads, headDim, values)
	return l.pageBytes()
}

// shared tells whether other caches have the page too.
func (pg *page) shared() bool { return pg.refs.Load() > 1 }

// take returns n pages with one reference each.
func (p *Pool) take(l *layout, n int) (list []*page, err error) {
	if n == 0 {
		return nil, nil
	}
	bytes := l.pageBytes()
	p.mu.Lock()
	if p.budget > 0 && p.used+int64(n)*int64(bytes) > p.budget {
		defer p.mu.Unlock()
		return nil, fmt.Errorf("%w: %d pages of %d bytes asked for, %d of %d bytes in use", ErrBudget, n, bytes, p.used, p.budget)
	}
	p.used += int64(n) * int64(bytes)
	for ; n > 0 && len(p.free[bytes]) > 0; n-- {
		pg := p.pop(bytes)
		pg.refs.Store(1)
		list = append(list, pg)
	}
	p.trim()
	p.mu.Unlock()
	for range n { // outside of the lock: it is memory to be cleared
		pg := &page{data: mem.Bytes(bytes)}
		pg.refs.Store(1)
		list = append(list, pg)
	}
	return list, nil
}

// drop gives up one reference to each page of the list; nil stands for none.
func (p *Pool) drop(list []*page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pg := range list {
		if pg == nil || pg.refs.Add(-1) > 0 {
			continue
		}
		n := len(pg.data)
		p.used -= int64(n)
		p.spare += int64(n)
		p.free[n] = append(p.free[n], pg)
	}
	p.trim()
}

// pop takes a page off a free list that has one.
func (p *Pool) pop(bytes int) *page {
	free := p.free[bytes]
	last := len(free) - 1
	pg := free[last]
	free[last] = nil
	p.free[bytes] = free[:last]
	p.spare -= int64(bytes)
	return pg
}

// trim leaves spare pages to the garbage collector until the pool keeps to its bounds.
func (p *Pool) trim() {
	for bytes := range p.free {
		for len(p.free[bytes]) > 0 && (p.budget > 0 && p.used+p.spare > p.budget || p.budget == 0 && p.spare > maxSpare) {
			p.pop(bytes)
		}
	}
}
