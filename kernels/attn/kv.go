package attn

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
)

// KVType is how a cache stores keys and values.
type KVType uint8

// Storage of keys and values.
const (
	KVF32  KVType = iota
	KVBF16        // half the memory; rounds keys, values, queries and probabilities
	KVI8          // a quarter: int8 with one scale for each token and head
)

// KV is the cache of keys and values of one attention layer for one sequence: a table
// of pages from a Pool. A page holds, for each head, keys and then values; hd is headDim
// padded with zeros to a multiple of 32:
//
//	keys   F32 [128/16][hd][16]            BF16, I8 [128/16][hd/2][16][2]
//	values F32 [128/32][hd/16][32][16]     BF16, I8 [128/32][hd/16][16][16][2]
//
// A page of keys alone, whose first columns are the values (latent attention), has the keys' half of it; Attention
// turns a block as it comes to it.
//
// With lanes over positions for keys and over columns for values, both are
// B operands of dot.Rows, and for BF16 tiles of AMX. In the last block of 32
// positions, those from Len on are zero, but after Truncate: they may lie in a shared
// page and become zero at the next Grow.
//
// One with a window (Windowed) gives pages back that no query to come sees: their places in the table are nil.
//
// A KV is used by one goroutine at a time, but for Put and Attention as they say;
// different ones of a pool, forks too, may be used at once.
type KV struct {
	*layout
	pool   *Pool
	pages  []*page
	len    int
	high   int // positions from len to here, at most the end of their block, may not be zero
	window int // of the queries, 0: they see all
	from   int // positions before are gone, or were never there
}

// Slack is how far below its greatest Len at a Forget a cache with a window can be cut back; a restored one cannot.
const Slack = PageLen

// Windowed makes an empty cache one for queries that see window positions, their own included; 0: all.
func (kv *KV) Windowed(window int) *KV {
	kv.window = window
	return kv
}

// first is the first position that a query at pos sees.
func (kv *KV) first(pos int) int {
	if kv.window == 0 {
		return 0
	}
	return max(pos+1-kv.window, 0)
}

// Holds tells whether all that a query at n, at most Len, sees of the positions before is there: Truncate(n) leaves n positions.
func (kv *KV) Holds(n int) bool { return n <= 0 || kv.from <= kv.first(n) }

// Forget gives back the pages that no query from Len-Slack on sees.
func (kv *KV) Forget() {
	keep := kv.first(max(kv.len-Slack, 0)) / PageLen
	if gone := kv.from / PageLen; gone < keep {
		kv.pool.drop(kv.pages[gone:keep])
		clear(kv.pages[gone:keep])
		kv.from = keep * PageLen
	}
}

// PagesFor is the most pages that a cache for queries with that window holds of n positions, when rows of them came after the last Forget.
func PagesFor(n, window, rows int) int {
	if window == 0 {
		return pagesFor(n)
	}
	return min(pagesFor(n), 1+pagesFor(max(rows+Slack+window-2, 0)))
}

// NewKV makes an empty cache, which takes no page before Grow.
func (p *Pool) NewKV(t KVType, heads, headDim int) *KV {
	return p.newKV(layoutOf(t, heads, headDim, 0))
}

// NewKeys is NewKV of keys alone, whose first columns, values of them, are the values.
func (p *Pool) NewKeys(t KVType, heads, headDim, values int) *KV {
	return p.newKV(layoutOf(t, heads, headDim, values))
}

func (p *Pool) newKV(key layout) *KV {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.layouts[key]
	if l == nil {
		l = &key
		p.layouts[key] = l
	}
	return &KV{layout: l, pool: p}
}

// Len is the number of positions held.
func (kv *KV) Len() int { return kv.len }

// Append is Grow and then Put of one or more rows.
func (kv *KV) Append(pos int, k, v []float32) error {
	if err := kv.Grow(pos, len(k)/(kv.heads*kv.headDim)); err != nil {
		return err
	}
	kv.Put(pos, k, v)
	return nil
}

// Grow forgets what was held from pos on, which must not be beyond Len and be one that it Holds, and makes room for rows
// positions, zeros so far, in pages that no other cache shares: what a shared one has before pos is copied.
// An error matches ErrBudget, and nothing has changed then.
func (kv *KV) Grow(pos, rows int) error { return kv.grow(pos, rows, false) }

// Lay is Grow of an empty cache for rows all of which are Put before Attention: they are not zeros so far.
func (kv *KV) Lay(rows int) error { return kv.grow(0, rows, kv.parts > 1 && kv.headDim == kv.hd) }

func (kv *KV) grow(pos, rows int, laid bool) error {
	if pos < 0 || pos > kv.len || rows < 0 || !kv.Holds(pos) {
		panic(fmt.Sprintf("attn: KV.Grow: %d positions at %d; the cache holds %d to %d", rows, pos, kv.from, kv.len))
	}
	if rows == 0 {
		kv.Truncate(pos)
		return nil
	}
	first, end := pos/PageLen, pagesFor(pos+rows)
	need := end - first
	for _, pg := range kv.pages[min(first, len(kv.pages)):min(end, len(kv.pages))] {
		if pg != nil && !pg.shared() {
			need--
		}
	}
	fresh, err := kv.pool.take(kv.layout, need)
	if err != nil {
		return err
	}
	for i := first; i < end; i++ {
		switch {
		case i == len(kv.pages):
			kv.pages = append(kv.pages, fresh[0])
			fresh = fresh[1:]
		case kv.pages[i] == nil: // given up, and pos is 0
			kv.pages[i], fresh = fresh[0], fresh[1:]
		case kv.pages[i].shared():
			if i == first {
				kv.copyBlocks(fresh[0], kv.pages[i], num.Pad(pos%PageLen, 32))
			}
			kv.pool.drop(kv.pages[i : i+1])
			kv.pages[i] = fresh[0]
			fresh = fresh[1:]
		}
	}
	kv.cut(end)
	if pos == 0 {
		kv.from = 0
	}
	block := num.Pad(pos, 32)
	for p := pos; p < min(block, kv.high); p++ {
		kv.erase(p)
	}
	if laid {
		kv.clearBehind(rows)
	}
	for p := block; p < pos+rows && !laid; p += 32 {
		kv.clearBlock(p)
	}
	kv.len, kv.high = pos+rows, pos+rows
	return nil
}

func pagesFor(positions int) int { return (positions + PageLen - 1) / PageLen }

// cut gives back the pages from i on.
func (kv *KV) cut(i int) {
	if i < len(kv.pages) {
		kv.pool.drop(kv.pages[i:])
		clear(kv.pages[i:])
		kv.pages = kv.pages[:i]
	}
}

// copyBlocks copies the first n positions, whole blocks, from one page to another.
func (l *layout) copyBlocks(to, from *page, n int) {
	for h := range l.heads {
		for which := range l.parts {
			copy(l.part(to, h, which)[:n*l.hd*l.size], l.part(from, h, which))
			if l.Type == KVI8 {
				copy(l.scales(to, h, which)[:n], l.scales(from, h, which))
			}
		}
	}
}

// Put stores rows k, v [rows][heads*headDim], no v in a cache of keys alone, at the positions from pos on, for
// which Grow made room. Different positions may be stored at the same time.
func (kv *KV) Put(pos int, k, v []float32) {
	width := kv.heads * kv.headDim
	rows := len(k) / width
	if len(v) != len(k)*(kv.parts-1) || rows*width != len(k) || pos < 0 || pos+rows > kv.len {
		panic(fmt.Sprintf("attn: KV.Put: %d keys and %d values of width %d at position %d of %d", len(k), len(v), width, pos, kv.len))
	}
	for r := range rows {
		if kv.pages[(pos+r)/PageLen].shared() {
			panic(fmt.Sprintf("attn: KV.Put: position %d lies in a page that a fork shares; Grow comes first", pos+r))
		}
	}
	if kv.Type == KVBF16 && kv.headDim%32 == 0 && active().putKeys != nil {
		kv.putMany(pos, rows, k, v)
		return
	}
	for r := range rows {
		for h := range kv.heads {
			at := r*width + h*kv.headDim
			kv.put(h, pos+r, 0, k[at:][:kv.headDim])
			if kv.parts > 1 {
				kv.put(h, pos+r, 1, v[at:][:kv.headDim])
			}
		}
	}
}

// putMany is Put of as many rows together as lie side by side.
func (kv *KV) putMany(pos, rows int, k, v []float32) {
	l, dim, width := active(), kv.headDim, kv.heads*kv.headDim
	for r, n := 0, 0; r < rows; r += n {
		p := pos + r
		n = min(16-p%16, rows-r)
		pg := kv.pages[p/PageLen]
		for h := range kv.heads {
			at := r*width + h*dim
			l.putKeys(kv.part(pg, h, 0)[2*kv.at(0, p):], k[at:], width, n, dim)
			if kv.parts == 1 {
				continue
			}
			odd := p % 2
			if odd > 0 {
				kv.put(h, p, 1, v[at:][:dim])
			}
			if pairs := (n - odd) / 2; pairs > 0 {
				l.putValues(kv.part(pg, h, 1)[2*kv.at(1, p+odd):], v[at+odd*width:], width, pairs, dim)
			}
			if (n-odd)%2 > 0 {
				kv.put(h, p+n-1, 1, v[at+(n-1)*width:][:dim])
			}
		}
	}
}

// Truncate forgets all positions from n on and gives back the pages that held nothing else; all positions, if those are
// gone that a query at n sees (Holds).
func (kv *KV) Truncate(n int) {
	if n = max(n, 0); n >= kv.len {
		return
	}
	if n == 0 || !kv.Holds(n) {
		n, kv.from = 0, 0
	}
	kv.len, kv.high = n, min(num.Pad(n, 32), kv.high)
	kv.cut(pagesFor(n))
}

// Fork returns a cache with the same contents. They share their pages until one of them grows into one.
func (kv *KV) Fork() *KV {
	f := *kv
	f.pages = slices.Clone(kv.pages)
	for _, pg := range f.pages {
		if pg != nil {
			pg.refs.Add(1)
		}
	}
	return &f
}

// Release gives back all pages; the cache is empty then.
func (kv *KV) Release() {
	kv.Truncate(0)
	kv.pages = nil
}

// clearBehind zeroes values from that of an odd pos, or from pos on, to the end of its block of 32: what keys hold there counts for nothing.
func (kv *KV) clearBehind(pos int) {
	pair := pos % 32 / 2
	if pos%32 == 0 {
		return
	}
	pg, block, row := kv.pages[pos/PageLen], pos%PageLen/32*32*kv.hd*kv.size, 32*kv.size // of two positions, 16 columns
	for h := range kv.heads {
		values := kv.part(pg, h, 1)[block:][:32*kv.hd*kv.size]
		for ; len(values) > 0; values = values[16*row:] {
			clear(values[pair*row : 16*row])
		}
		if kv.Type == KVI8 {
			clear(kv.scales(pg, h, 1)[pos%PageLen : num.Pad(pos%PageLen, 32)])
		}
	}
}

// clearBlock zeroes the 32 positions from pos on: attention multiplies values
// beyond len by zero, and a NaN left there would spread.
func (kv *KV) clearBlock(pos int) {
	pg, at, n := kv.pages[pos/PageLen], pos%PageLen, 32*kv.hd*kv.size
	for h := range kv.heads {
		for which := range kv.parts {
			clear(kv.part(pg, h, which)[at/32*n:][:n])
			if kv.Type == KVI8 {
				clear(kv.scales(pg, h, which)[at:][:32])
			}
		}
	}
}

// erase zeroes one position.
func (kv *KV) erase(pos int) {
	pg := kv.pages[pos/PageLen]
	for h := range kv.heads {
		for which := range kv.parts {
			b := kv.part(pg, h, which)[kv.at(which, pos)*kv.size:]
			for d := range kv.headDim {
				clear(b[kv.element(which, d)*kv.size:][:kv.size])
			}
			if kv.Type == KVI8 {
				kv.scales(pg, h, which)[pos%PageLen] = 0
			}
		}
	}
}

// at returns where in part the values of pos begin, in elements. Value d follows
// element(d) later.
func (l *layout) at(which, pos int) int {
	pos %= PageLen
	switch {
	case which == 0 && l.Type == KVF32:
		return pos/16*16*l.hd + pos%16
	case which == 0:
		return pos/16*16*l.hd + pos%16*2
	case l.Type == KVF32:
		return pos/32*32*l.hd + pos%32*16
	}
	return pos/32*32*l.hd + pos%32/2*32 + pos%2
}

// element is where value d of a key (0) or value (1) lies, from its first on, in elements.
func (l *layout) element(which, d int) int {
	switch {
	case which == 0 && l.Type == KVF32:
		return d * 16
	case which == 0:
		return atKey(d)
	case l.Type == KVF32:
		return d/16*512 + d%16
	}
	return atValue(d)
}

func atKey(d int) int { return d/2*32 + d%2 }

func atValue(d int) int { return d/16*512 + d%16*2 }

// put stores x as the key (which = 0) or value (1) of a head.
func (kv *KV) put(head, pos, which int, x []float32) {
	pg := kv.pages[pos/PageLen]
	b := kv.part(pg, head, which)[kv.at(which, pos)*kv.size:]
	switch kv.Type {
	case KVF32:
		for d, v := range x {
			binary.LittleEndian.PutUint32(b[kv.element(which, d)*4:], math.Float32bits(v))
		}
	case KVBF16:
		if which == 0 {
			active().putKey(b, x)
		} else {
			active().putValue(b, x)
		}
	case KVI8:
		scale, inv := elem.RowScale(x, 127)
		kv.scales(pg, head, which)[pos%PageLen] = scale
		codes := rowCodes.Get().(*[128]byte) // plus 128
		defer rowCodes.Put(codes)
		mem.Fill(codes[:], 128) // stays so if there is no scale
		for d0 := 0; d0 < len(x); d0 += len(codes) {
			c := codes[:min(len(codes), len(x)-d0)]
			if inv != 0 {
				elem.Codes8(c, x[d0:][:len(c)], inv, 128, -127, 127)
			}
			to := b[kv.element(which, d0):]
			if which == 0 {
				for d, code := range c {
					to[atKey(d)] = code - 128
				}
			} else {
				for d, code := range c {
					to[atValue(d)] = code - 128
				}
			}
		}
	}
}

// rowCodes are codes on their way into a cache.
var rowCodes = sync.Pool{New: func() any { return new([128]byte) }}

// putKey and putValue store a row of a BF16 cache whose first value lies at b.

func putKeyGeneric(b []byte, x []float32) {
	for d, v := range x {
		binary.LittleEndian.PutUint16(b[2*atKey(d):], num.BF16(v))
	}
}

func putValueGeneric(b []byte, x []float32) {
	for d, v := range x {
		binary.LittleEndian.PutUint16(b[2*atValue(d):], num.BF16(v))
	}
}

// blocks returns keys and values of n times 32 positions of a head, from block
// i = position/32 on, all in one page. I8 is expanded into buf [n][2*64*hd] as
// bfloat16(code*scale); the values of keys alone go into buf too, [n][128*hd] for F32 and [n][64*hd] for BF16.
func (kv *KV) blocks(head, i, n int, buf []byte) (k, v []byte) {
	pg, at, size := kv.pages[i*32/PageLen], i*32%PageLen, n*32*kv.hd*kv.size
	k = kv.part(pg, head, 0)[at*kv.hd*kv.size:][:size]
	if kv.parts > 1 {
		v = kv.part(pg, head, 1)[at*kv.hd*kv.size:][:size]
		if kv.Type != KVI8 {
			return k, v
		}
	} else if kv.Type != KVI8 {
		kv.turn(buf, k)
		return k, buf[:size]
	}
	scales := kv.scales(pg, head, 0)[at:]
	kx, vx := buf[:2*size], buf[2*size:4*size]
	for j := range n * 2 { // [hd/2] rows of 16 positions
		active().expandKeys(kx[j*32*kv.hd:], k[j*16*kv.hd:][:16*kv.hd], scales[j*16:][:16])
	}
	if kv.parts == 1 {
		kv.turn(vx, kx)
		return kx, vx
	}
	for j := range n * kv.hd / 16 { // [16] rows of 2 positions
		active().expandValues(vx[j*1024:], v[j*512:][:512], scales[PageLen+j/(kv.hd/16)*32:][:32])
	}
	return kx, vx
}

// Rows of 32 codes, 16 pairs, times their scales: pair i of every row of keys has
// scale i, the codes of a pair in row r of values have scales 2r and 2r+1.

func expandKeysGeneric(dst, codes []byte, scale []float32) {
	for i, c := range codes {
		binary.LittleEndian.PutUint16(dst[2*i:], num.BF16(float32(int8(c))*scale[i/2%16]))
	}
}

func expandValuesGeneric(dst, codes []byte, scale []float32) {
	for i, c := range codes {
		binary.LittleEndian.PutUint16(dst[2*i:], num.BF16(float32(int8(c))*scale[i/32*2+i%2]))
	}
}

var kvNames = []string{KVF32: "f32", KVBF16: "bf16", KVI8: "int8"}

func (t KVType) String() string { return kvNames[t] }

// ParseKV finds a KV cache type by name.
func ParseKV(name string) (KVType, error) {
	if i := slices.Index(kvNames, name); i >= 0 {
		return KVType(i), nil
	}
	return 0, fmt.Errorf("KV cache type %q is unknown, want one of %s", name, strings.Join(kvNames, ", "))
}
