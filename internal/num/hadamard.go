package num

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Rotation is an orthogonal map of rows x [Width], or of rows of several such parts one after the other: x D H, D a diagonal of
// signs and H the Walsh-Hadamard matrix in blocks along the diagonal, divided by the root of their size. It consists
// of additions and one multiplication a value, so it has the same bits on every machine.
type Rotation struct {
	Block int       // values a block, a power of two
	Signs []float32 // [Width] 1 or -1
}

// NewRotation chooses the signs for rows of width values; blocks are the largest power of two that divides width.
func NewRotation(width int, seed uint64) *Rotation {
	r := &Rotation{Block: width & -width}
	rng := rand.New(rand.NewPCG(seed, uint64(width)))
	for range width {
		r.Signs = append(r.Signs, float32(1-2*int(rng.Uint64()&1)))
	}
	return r
}

// Apply rotates rows.
func (r *Rotation) Apply(x []float32) {
	r.flip(x)
	r.transform(x, 1)
}

// Undo is the inverse of Apply.
func (r *Rotation) Undo(x []float32) {
	r.transform(x, 1)
	r.flip(x)
}

func (r *Rotation) flip(x []float32) {
	for i := range x {
		x[i] *= r.Signs[i%len(r.Signs)]
	}
}

// Columns rotates the columns of x, rows r0 on of a matrix with rows of k values; it has whole blocks.
func (r *Rotation) Columns(x []float32, r0, k int) {
	if r0%r.Block != 0 || len(x)%(r.Block*k) != 0 {
		panic(fmt.Sprintf("num: rotation of rows %d to %d in blocks of %d", r0, r0+len(x)/k, r.Block))
	}
	for i := range x {
		x[i] *= r.Signs[(r0+i/k)%len(r.Signs)]
	}
	r.transform(x, k)
}

// transform multiplies by H; each of the Block values is k numbers.
func (r *Rotation) transform(x []float32, k int) {
	size := r.Block * k
	scale := float32(1 / math.Sqrt(float64(r.Block)))
	for ; len(x) > 0; x = x[size:] {
		for half := k; half < size; half *= 2 {
			for i := 0; i < size; i += 2 * half {
				a, b := x[i:i+half], x[i+half:i+2*half]
				for j, v := range a {
					a[j], b[j] = v+b[j], v-b[j]
				}
			}
		}
		for i := range x[:size] {
			x[i] *= scale
		}
	}
}
