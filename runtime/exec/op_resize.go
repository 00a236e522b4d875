package exec

import (
	"qpt/format/graph"
	"qpt/kernels/linear"
)

func init() {
	register("pad", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Pad)
		x, out := c.values[c.in(i, 0)].Shape, c.values[c.out(i)].Shape
		by, at := strides(x), len(x)-len(op.Pad)/2
		// from is where element o of dimension j comes from, -1 from nowhere.
		from := func(j, o int) int {
			if j < at {
				return o
			}
			n := int(x[j])
			o -= op.Pad[2*(j-at)]
			switch op.Mode {
			case "edge":
				o = min(max(o, 0), n-1)
			case "reflect":
				o = max(o, -o)
				o = min(o, 2*(n-1)-o)
			}
			if o >= n {
				return -1
			}
			return o
		}
		last := len(x) - 1
		c.row(i, &rowOp{fn: func(f *frame, o *rowOp, dst []float32, r int) {
			for k := range dst {
				dst[k] = float32(op.Value)
			}
			pos, rest := 0, r
			for j := last - 1; j >= 0; j-- {
				k := rest
				if out[j] >= 0 {
					k, rest = rest%int(out[j]), rest/int(out[j])
					if k = from(j, k); k < 0 {
						return
					}
				}
				step := by[j]
				if out[j] < 0 { // all leading symbols at once
					pos += k * size(x)
					break
				}
				pos += k * step
			}
			row := f.val[o.src[0]][pos:]
			for k := range dst {
				if j := from(last, k); j >= 0 {
					dst[k] = row[j]
				}
			}
		}})
		return nil
	})
	register("resize", func(c *Compiler, i int) error {
		op := c.nodes[i].Op.(graph.Resize)
		s := c.windows(c.in(i, 0), c.out(i), graph.Window{}, op.Size)
		var n [3]int
		var index [3][]int
		var weight [3][]float64
		for j := range 3 {
			n[j], index[j], weight[j] = 1, []int{0}, []float64{1}
			if k := j - 3 + len(op.Size); k >= 0 {
				n[j], index[j], weight[j] = op.Taps(k, s.In[j])
			}
		}
		if op.Mode == "nearest" && c.move(i, func(f *frame, st *codeStep, maps []*[256]byte, dst []byte, r int) {
			d, h, w := r/s.Out[2]/s.Out[1]%s.Out[0], r/s.Out[2]%s.Out[1], r%s.Out[2]
			copy(dst, f.codesOf(st.src[0], ((r/s.Places()*s.In[0]+index[0][d])*s.In[1]+index[1][h])*s.In[2]+index[2][w]))
			through(maps[0], dst)
		}) {
			return nil
		}
		c.row(i, &rowOp{fn: func(f *frame, o *rowOp, dst []float32, r int) {
			image := r / s.Places()
			at := [3]int{r / s.Out[2] / s.Out[1] % s.Out[0], r / s.Out[2] % s.Out[1], r % s.Out[2]}
			x := f.val[o.src[0]]
			if op.Mode == "nearest" {
				copy(dst, x[(((image*s.In[0]+index[0][at[0]])*s.In[1]+index[1][at[1]])*s.In[2]+index[2][at[2]])*s.C:])
				return
			}
			sums := make([]float64, len(dst))
			for a := range n[0] {
				d := at[0]*n[0] + a
				for b := range n[1] {
					h := at[1]*n[1] + b
					for k := range n[2] {
						w := at[2]*n[2] + k
						by := weight[0][d] * weight[1][h] * weight[2][w]
						row := (((image*s.In[0]+index[0][d])*s.In[1]+index[1][h])*s.In[2] + index[2][w]) * s.C
						for j, v := range x[row:][:len(sums)] {
							sums[j] += float64(by * float64(v))
						}
					}
				}
			}
			for j, v := range sums {
				dst[j] = float32(v)
			}
		}})
		return nil
	})
	register("matmul", func(c *Compiler, i int) error {
		x, y := c.in(i, 0), c.in(i, 1)
		m, n := int(c.values[x].lead[len(c.values[x].lead)-1]), int(c.values[y].lead[len(c.values[y].lead)-1])
		c.step(i, &matMulStep{name: c.nodes[i].Name, x: x, y: y, out: c.out(i), m: m, n: n, dot: linear.MatMul()})
		return nil
	})
}

// matMulStep multiplies rows of two values; an item is one pair of matrices. Products are those of numerics N6.5.
type matMulStep struct {
	name      string
	x, y, out int
	m, n      int
	dot       func(y [][]float32, n0 int, x [][]float32, w []float32) // nil: plainDot
}

func (st *matMulStep) node() string       { return st.name }
func (st *matMulStep) reads() []int       { return []int{st.x, st.y} }
func (st *matMulStep) writes() []int      { return []int{st.out} }
func (st *matMulStep) items(f *frame) int { return f.rows[st.x] / st.m }

func (st *matMulStep) do(f *frame, _, item int) {
	xs, ys := make([][]float32, st.m), make([][]float32, st.m)
	for r := range st.m {
		xs[r], ys[r] = f.rowOf(st.x, item*st.m+r), f.rowOf(st.out, item*st.m+r)
	}
	k := f.p.values[st.x].width
	w := f.val[st.y][item*st.n*k:][:st.n*k]
	if st.dot != nil {
		st.dot(ys, 0, xs, w)
		return
	}
	for r, y := range ys {
		for j := range st.n {
			y[j] = plainDot(xs[r], w[j*k:][:k])
		}
	}
}

// plainDot is numerics N6.5.
func plainDot(x, w []float32) float32 {
	var s [4]float32
	whole := len(x) &^ 7
	for k, v := range x {
		i := 0
		if k < whole {
			i = k % 4
		}
		s[i] += float32(v * w[k])
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}
