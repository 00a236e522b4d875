package attn

import (
	"encoding/binary"
	"fmt"
	"math"
	"qpt/internal/num"
	"qpt/kernels/elem"
	"qpt/kernels/internal/mem"
	"slices"
	"strings"
	"sync"
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
// B operands of dot.Rows, and for BF16 tiles of AMX. In the last block of 32
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
		panic(fmt.Sprintf("attn: NewKV: type %d, %d heads of %d, %d positions", t, heads, headDim, maxLen))
	}
	n := num.Pad(maxLen, kvChunk) / kvChunk
	kv := &KV{Type: t, heads: heads, headDim: headDim, hd: num.Pad(headDim, 32), size: size, maxLen: maxLen, chunks: make([][]byte, 0, n)}
	if t == KVI8 {
		kv.scales = make([][]float32, 0, n)
	}
	return kv
}

// Len is the number of positions held.
func (kv *KV) Len() int { return kv.len }

// Append stores one or more rows k, v [rows][heads*headDim] at positions pos,
// pos+1, ...; pos must not be beyond Len, and what was held from pos on is forgotten.
// It is Grow and then Put, which workers may share.
func (kv *KV) Append(pos int, k, v []float32) {
	kv.Grow(pos, len(k)/(kv.heads*kv.headDim))
	kv.Put(pos, k, v)
}

// Grow forgets what was held from pos on, which must not be beyond Len, and makes room for rows
// positions, zeros so far.
func (kv *KV) Grow(pos, rows int) {
	if pos < 0 || pos > kv.len || rows < 0 || pos+rows > kv.maxLen {
		panic(fmt.Sprintf("attn: KV.Grow: %d positions at %d; the cache holds %d of %d", rows, pos, kv.len, kv.maxLen))
	}
	kv.Truncate(pos)
	for ; kv.len < pos+rows; kv.len = min(num.Pad(kv.len+1, 32), pos+rows) {
		if kv.len == len(kv.chunks)*kvChunk {
			kv.chunks = append(kv.chunks, mem.Bytes(kv.heads*2*kvChunk*kv.hd*kv.size))
			if kv.Type == KVI8 {
				kv.scales = append(kv.scales, make([]float32, kv.heads*2*kvChunk))
			}
		}
		if kv.len%32 == 0 {
			kv.clearBlock(kv.len)
		}
	}
}

// Put stores rows k, v [rows][heads*headDim] at the positions from pos on, for
// which Grow made room. Different positions may be stored at the same time.
func (kv *KV) Put(pos int, k, v []float32) {
	width := kv.heads * kv.headDim
	rows := len(k) / width
	if len(k) != len(v) || rows*width != len(k) || pos < 0 || pos+rows > kv.len {
		panic(fmt.Sprintf("attn: KV.Put: %d keys and %d values of width %d at position %d of %d", len(k), len(v), width, pos, kv.len))
	}
	for r := range rows {
		for h := range kv.heads {
			at := r*width + h*kv.headDim
			kv.put(h, pos+r, 0, k[at:][:kv.headDim])
			kv.put(h, pos+r, 1, v[at:][:kv.headDim])
		}
	}
}

// Truncate forgets all positions from n on.
func (kv *KV) Truncate(n int) {
	old := kv.len
	kv.len = min(max(n, 0), old)
	if kv.len == old {
		return
	}
	zeros := make([]float32, kv.headDim)
	for pos := kv.len; pos < min(old, num.Pad(kv.len, 32)); pos++ {
		for h := range kv.heads {
			kv.put(h, pos, 0, zeros)
			kv.put(h, pos, 1, zeros)
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

// at returns where in part the values of pos begin, in elements. Value d
// follows at atKey(d) or atValue(d), with F32 at 16*d or d/16*512 + d%16.
func (kv *KV) at(which, pos int) int {
	pos %= kvChunk
	switch {
	case which == 0 && kv.Type == KVF32:
		return pos/16*16*kv.hd + pos%16
	case which == 0:
		return pos/16*16*kv.hd + pos%16*2
	case kv.Type == KVF32:
		return pos/32*32*kv.hd + pos%32*16
	}
	return pos/32*32*kv.hd + pos%32/2*32 + pos%2
}

func atKey(d int) int { return d/2*32 + d%2 }

func atValue(d int) int { return d/16*512 + d%16*2 }

// put stores x as the key (which = 0) or value (1) of a head.
func (kv *KV) put(head, pos, which int, x []float32) {
	b := kv.part(head, pos, which)[kv.at(which, pos)*kv.size:]
	switch kv.Type {
	case KVF32:
		for d, v := range x {
			i := d * 16
			if which == 1 {
				i = d/16*512 + d%16
			}
			binary.LittleEndian.PutUint32(b[i*4:], math.Float32bits(v))
		}
	case KVBF16:
		if which == 0 {
			putKey(b, x)
		} else {
			putValue(b, x)
		}
	case KVI8:
		scale, inv := elem.RowScale(x, 127)
		kv.scales[pos/kvChunk][(head*2+which)*kvChunk+pos%kvChunk] = scale
		codes := rowCodes.Get().(*[128]byte) // plus 128
		defer rowCodes.Put(codes)
		mem.Fill(codes[:], 128) // stays so if there is no scale
		for d0 := 0; d0 < len(x); d0 += len(codes) {
			c := codes[:min(len(codes), len(x)-d0)]
			if inv != 0 {
				elem.Codes8(c, x[d0:][:len(c)], inv, 128, -127, 127)
			}
			if which == 0 {
				for d, code := range c {
					b[atKey(d0)+atKey(d)] = code - 128
				}
			} else {
				for d, code := range c {
					b[atValue(d0)+atValue(d)] = code - 128
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

var kvNames = []string{KVF32: "f32", KVBF16: "bf16", KVI8: "int8"}

func (t KVType) String() string { return kvNames[t] }

// ParseKV finds a KV cache type by name.
func ParseKV(name string) (KVType, error) {
	if i := slices.Index(kvNames, name); i >= 0 {
		return KVType(i), nil
	}
	return 0, fmt.Errorf("KV cache type %q is unknown, want one of %s", name, strings.Join(kvNames, ", "))
}
