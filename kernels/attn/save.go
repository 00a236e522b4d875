package attn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A saved cache is, little-endian,
//
//	offset  size  meaning
//	0       1     type: 0 f32, 1 bf16, 2 int8
//	1       1     parts: 0 keys and values, 1 keys alone
//	2       2     zero
//	4       4     heads
//	8       4     values of a head
//	12      4     positions
//	16      4     the first of them that follows: the first that a query at the next position sees
//	20      ..    for each position from there on, head, and of it the key and then the value, if there is one: for int8 the scale
//	              as float32, then the elements as stored
//
// and does not depend on how pages are laid out.
const savedHeader = 20

// maxSaved bounds the positions that a saved cache announces.
const maxSaved = 1 << 26

// ErrSaved is matched by the errors of Restore about its bytes.
var ErrSaved = errors.New("saved keys and values")

// rowBytes is the size of a position's key or value of one head in a saved cache.
func (l *layout) rowBytes() int {
	n := l.headDim * l.size
	if l.Type == KVI8 {
		n += 4
	}
	return n
}

// SavedBytes is how many bytes AppendBinary appends.
func (kv *KV) SavedBytes() int {
	return savedHeader + (kv.len-kv.first(kv.len))*kv.heads*kv.parts*kv.rowBytes()
}

// AppendBinary appends the contents to b for Restore: the same bits, whatever the pages were. It never fails.
func (kv *KV) AppendBinary(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	b = append(b, byte(kv.Type), byte(2-kv.parts), 0, 0)
	first := kv.first(kv.len)
	for _, n := range []int{kv.heads, kv.headDim, kv.len, first} {
		b = le.AppendUint32(b, uint32(n))
	}
	for pos := first; pos < kv.len; pos++ {
		pg := kv.pages[pos/PageLen]
		for head := range kv.heads {
			for which := range kv.parts {
				if kv.Type == KVI8 {
					b = le.AppendUint32(b, math.Float32bits(kv.scales(pg, head, which)[pos%PageLen]))
				}
				from := kv.part(pg, head, which)[kv.at(which, pos)*kv.size:]
				for d := range kv.headDim {
					b = append(b, from[kv.element(which, d)*kv.size:][:kv.size]...)
				}
			}
		}
	}
	return b, nil
}

// Restore replaces the contents by those that AppendBinary wrote at the start of b, from a cache
// of the same type and shape, and returns what follows them. Errors match ErrSaved, nothing has changed then, or ErrBudget, after which the cache is empty.
func (kv *KV) Restore(b []byte) (rest []byte, err error) {
	le := binary.LittleEndian
	if len(b) < savedHeader {
		return nil, fmt.Errorf("%w: %d bytes, the header alone has %d", ErrSaved, len(b), savedHeader)
	}
	heads, dim, n, first := le.Uint32(b[4:]), le.Uint32(b[8:]), int64(le.Uint32(b[12:])), int64(le.Uint32(b[16:]))
	if b[0] != byte(kv.Type) || b[1] != byte(2-kv.parts) || b[2]|b[3] != 0 || int(heads) != kv.heads || int(dim) != kv.headDim {
		return nil, fmt.Errorf("%w: type %d (%d), %d heads of %d, want type %d (%d), %d heads of %d", ErrSaved, b[0], b[1], heads, dim, kv.Type, 2-kv.parts, kv.heads, kv.headDim)
	}
	b = b[savedHeader:]
	row := kv.rowBytes()
	switch {
	case n > maxSaved || first != int64(kv.first(int(n))):
		return nil, fmt.Errorf("%w: %d positions from %d on, with a window of %d", ErrSaved, n, first, kv.window)
	case int64(len(b)) < (n-first)*int64(kv.heads*kv.parts*row):
		return nil, fmt.Errorf("%w: %d positions of %d bytes are announced, %d bytes follow", ErrSaved, n-first, kv.heads*kv.parts*row, len(b))
	}
	kv.Truncate(0)
	gone := int(first) / PageLen // pages
	kv.pages = make([]*page, gone)
	kv.len, kv.high = gone*PageLen, gone*PageLen
	if err := kv.Grow(kv.len, int(n)-kv.len); err != nil {
		kv.Truncate(0)
		return nil, err
	}
	kv.from = int(first)
	for pos := kv.from; pos < kv.len; pos++ {
		pg := kv.pages[pos/PageLen]
		for head := range kv.heads {
			for which := range kv.parts {
				from := b[:row]
				b = b[row:]
				if kv.Type == KVI8 {
					kv.scales(pg, head, which)[pos%PageLen] = math.Float32frombits(le.Uint32(from))
					from = from[4:]
				}
				to := kv.part(pg, head, which)[kv.at(which, pos)*kv.size:]
				for d := range kv.headDim {
					copy(to[kv.element(which, d)*kv.size:], from[d*kv.size:][:kv.size])
				}
			}
		}
	}
	return b, nil
}
