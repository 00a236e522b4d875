package kernels

import (
	"encoding/binary"
	"fmt"
	"math"

	"qpt/internal/num"
)

// KVType is how a cache stores keys and values.
type KVType uint8

// Storage of keys and values.
const (
	KVF32  KVType = iota
	KVBF16        // half the memory; rounds keys, values, queries and probabilities
	KVI8          // a quarter: int8 with one scale for each token and head
)

// kvChunk is how many positions are allocated at a time.
const kvChunk = 256

// KV is the key and value cache of one attention layer. Its memory grows in
// chunks of 256 positions. A chunk holds, for each head, keys and then values;
// hd is headDim padded with zeros to a multiple of 32:
//
//	keys   F32 [256/16][hd][16]            BF16, I8 [256/16][hd/2][16][2]
//	values F32 [256/32][hd/16][32][16]     BF16, I8 [256/32][hd/16][16][16][2]
//
// With lanes over positions for keys and over columns for values, both are
// B operands of dotRows, and for BF16 tiles of AMX. In the last block of 32
// positions, those from len on are zero.
type KV struct {
	Type    KVType
	heads   int
	headDim int
	hd      int // headDim padded
	size    int // bytes of an element
	maxLen  int
	len     int
	chunks  [][]byte
	scales  [][]float32 // I8: a chunk [heads][keys, values][256]
}

// NewKV makes an empty cache for up to maxLen positions.
func NewKV(t KVType, heads, headDim, maxLen int) *KV {
	size := map[KVType]int{KVF32: 4, KVBF16: 2, KVI8: 1}[t]
	if size == 0 || heads <= 0 || headDim <= 0 || maxLen < 0 {
		panic(fmt.Sprintf("kernels: NewKV: type %d, %d heads of %d, %d positions", t, heads, headDim, maxLen))
	}
	n := Pad(maxLen, kvChunk) / kvChunk
	kv := &KV{Type: t, heads: heads, headDim: headDim, hd: Pad(headDim, 32), size: size, maxLen: maxLen, chunks: make([][]byte, 0, n)}
	if t == KVI8 {
		kv.scales = make([][]float32, 0, n)
	}
	return kv
}

// Len is the number of positions held.
func (kv *KV) Len() int { return kv.len }

// Append stores one or more rows k, v [rows][heads*headDim] at positions pos,
// pos+1, ...; pos must not be beyond Len, and what was held from pos on is forgotten.
func (kv *KV) Append(pos int, k, v []float32) {
	width := kv.heads * kv.headDim
	rows := len(k) / width
	if len(k) != len(v) || rows*width != len(k) || pos < 0 || pos > kv.len || pos+rows > kv.maxLen {
		panic(fmt.Sprintf("kernels: KV.Append: %d keys and %d values of width %d at position %d; the cache holds %d of %d", len(k), len(v), width, pos, kv.len, kv.maxLen))
	}
	kv.Truncate(pos)
	for ; kv.len < pos+rows; kv.len++ {
		if kv.len == len(kv.chunks)*kvChunk {
			kv.chunks = append(kv.chunks, alignedBytes(kv.heads*2*kvChunk*kv.hd*kv.size))
			if kv.Type == KVI8 {
				kv.scales = append(kv.scales, make([]float32, kv.heads*2*kvChunk))
			}
		}
		if kv.len%32 == 0 {
			kv.clearBlock(kv.len)
		}
		for h := range kv.heads {
			kv.put(h, kv.len, 0, k[h*kv.headDim:][:kv.headDim])
			kv.put(h, kv.len, 1, v[h*kv.headDim:][:kv.headDim])
		}
		k, v = k[width:], v[width:]
	}
}

// Truncate forgets all positions from n on.
func (kv *KV) Truncate(n int) {
	old := kv.len
	kv.len = min(max(n, 0), old)
	for pos := kv.len; pos < min(old, Pad(kv.len, 32)); pos++ {
		for h := range kv.heads {
			kv.put(h, pos, 0, nil)
			kv.put(h, pos, 1, nil)
		}
	}
}

// clearBlock zeroes the 32 positions from pos on: attention multiplies values
// beyond len by zero, and a NaN left there would spread.
func (kv *KV) clearBlock(pos int) {
	n := 32 * kv.hd * kv.size
	for h := range kv.heads {
		for which := range 2 {
			clear(kv.part(h, pos, which)[pos%kvChunk/32*n:][:n])
			if kv.Type == KVI8 {
				clear(kv.scales[pos/kvChunk][(h*2+which)*kvChunk+pos%kvChunk:][:32])
			}
		}
	}
}

// part returns the keys (0) or values (1) of a head in the chunk of pos.
func (kv *KV) part(head, pos, which int) []byte {
	n := kvChunk * kv.hd * kv.size
	return kv.chunks[pos/kvChunk][(head*2+which)*n:][:n]
}

// at returns where in part value d of pos lies, in elements.
func (kv *KV) at(which, pos, d int) int {
	pos %= kvChunk
	switch {
	case which == 0 && kv.Type == KVF32:
		return pos/16*16*kv.hd + d*16 + pos%16
	case which == 0:
		return pos/16*16*kv.hd + d/2*32 + pos%16*2 + d%2
	case kv.Type == KVF32:
		return pos/32*32*kv.hd + d/16*512 + pos%32*16 + d%16
	}
	return pos/32*32*kv.hd + d/16*512 + pos%32/2*32 + d%16*2 + pos%2
}

// put stores x as the key (which = 0) or value (1) of a head; nil stores zeros.
func (kv *KV) put(head, pos, which int, x []float32) {
	b := kv.part(head, pos, which)
	var inv float32
	if kv.Type == KVI8 {
		scale := &kv.scales[pos/kvChunk][(head*2+which)*kvChunk+pos%kvChunk]
		*scale, inv = rowScale(x, 127)
	}
	for d := range kv.headDim {
		var v float32
		if x != nil {
			v = x[d]
		}
		i := kv.at(which, pos, d)
		switch kv.Type {
		case KVF32:
			binary.LittleEndian.PutUint32(b[i*4:], math.Float32bits(v))
		case KVBF16:
			binary.LittleEndian.PutUint16(b[i*2:], num.BF16(v))
		case KVI8:
			var q int32
			if inv != 0 {
				q = num.RoundEven(v * inv)
			}
			b[i] = byte(q)
		}
	}
}

// blocks returns keys and values of n times 32 positions of a head, from block
// i = position/32 on, all in one chunk. I8 is expanded into buf [n][2*64*hd] as
// bfloat16(code*scale).
func (kv *KV) blocks(head, i, n int, buf []byte) (k, v []byte) {
	pos, size := i*32, n*32*kv.hd*kv.size
	k = kv.part(head, pos, 0)[pos%kvChunk*kv.hd*kv.size:][:size]
	v = kv.part(head, pos, 1)[pos%kvChunk*kv.hd*kv.size:][:size]
	if kv.Type != KVI8 {
		return k, v
	}
	scales := kv.scales[pos/kvChunk][head*2*kvChunk+pos%kvChunk:]
	kx, vx := buf[:2*size], buf[2*size:4*size]
	for j := range n * 2 { // [hd/2] rows of 16 positions
		expandKeys(kx[j*32*kv.hd:], k[j*16*kv.hd:][:16*kv.hd], scales[j*16:][:16])
	}
	for j := range n * kv.hd / 16 { // [16] rows of 2 positions
		expandValues(vx[j*1024:], v[j*512:][:512], scales[kvChunk+j/(kv.hd/16)*32:][:32])
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
