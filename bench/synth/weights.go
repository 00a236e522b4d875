package synth

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"strings"

	"qpt/convert/safetensors"
	"qpt/internal/num"
	"qpt/internal/par"
)

// std is the standard deviation of the weights.
const std = 0.02

// weights makes the numbers of tensors. A number depends on the seed, the
// tensor's name and its own index only, so it is the same whoever computes it.
//
// It is one of 65536 values, the quantiles (i+1/2)/65536 of the normal
// distribution, picked by 16 bits of a hash: Gaussian to every test that
// matters to quantization, up to the largest value of 4.3 std, and two hashes
// and eight table reads for 16 bytes.
type weights struct {
	seed  uint64
	width int             // bytes of a number
	table [1 << 16]uint32 // the quantiles' bits
	one   uint32          // the bits of 1
	buf   []byte
}

const (
	piece  = 1 << 20 // bytes that one goroutine fills at a time
	pieces = 16      // per write
)

func newWeights(seed uint64, d safetensors.DType) (*weights, error) {
	bits := map[safetensors.DType]func(float32) uint32{
		safetensors.BF16: func(x float32) uint32 { return uint32(num.BF16(x)) },
		safetensors.F16:  func(x float32) uint32 { return uint32(num.F16(x)) },
		safetensors.F32:  math.Float32bits,
	}[d]
	if bits == nil {
		return nil, fmt.Errorf("dtype %v: must be BF16, F16 or F32", d)
	}
	w := &weights{seed: seed, width: d.Bits() / 8, one: bits(1), buf: make([]byte, pieces*piece)}
	for i := range w.table {
		p := (float64(i) + 0.5) / float64(len(w.table))
		w.table[i] = bits(float32(std * math.Sqrt2 * math.Erfinv(2*p-1)))
	}
	return w, nil
}

// fill writes one tensor: ones for norms, Gaussian numbers for the rest.
func (w *weights) fill(s safetensors.Spec, out io.Writer) error {
	size, err := s.Size()
	if err != nil {
		return err
	}
	hash := fnv.New64a()
	io.WriteString(hash, s.Name)
	key := mix(hash.Sum64() ^ mix(w.seed))
	norm := strings.HasSuffix(s.Name, "norm.weight")
	for off := int64(0); off < size; off += int64(len(w.buf)) {
		b := w.buf[:min(int64(len(w.buf)), size-off)]
		par.For(0, (len(b)+piece-1)/piece, func(_, i int) {
			p := b[i*piece : min(len(b), (i+1)*piece)]
			if norm {
				w.ones(p)
			} else {
				w.gauss(p, key, uint64(off)+uint64(i*piece))
			}
		})
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (w *weights) ones(b []byte) {
	for i := range b {
		b[i] = byte(w.one >> (i % w.width * 8))
	}
}

// gauss fills b, which lies off bytes into its tensor; off is a multiple of piece.
func (w *weights) gauss(b []byte, key, off uint64) {
	const golden = 0x9e3779b97f4a7c15 // splitmix64's step
	block := 4 * w.width              // four numbers from one hash
	h := key + off/uint64(block)*golden
	t := &w.table
	for ; len(b) >= block; b = b[block:] {
		x := mix(h)
		h += golden
		if w.width == 2 {
			binary.LittleEndian.PutUint64(b, uint64(t[x&0xffff])|uint64(t[x>>16&0xffff])<<16|
				uint64(t[x>>32&0xffff])<<32|uint64(t[x>>48])<<48)
		} else {
			binary.LittleEndian.PutUint64(b, uint64(t[x&0xffff])|uint64(t[x>>16&0xffff])<<32)
			binary.LittleEndian.PutUint64(b[8:], uint64(t[x>>32&0xffff])|uint64(t[x>>48])<<32)
		}
	}
	if len(b) > 0 { // the tensor's end
		var last [16]byte
		w.gauss(last[:block], h, 0)
		copy(b, last[:])
	}
}

// mix is the output function of splitmix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
