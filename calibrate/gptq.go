package calibrate

import (
	"math"
	"slices"
	"sync"

	"qpt/internal/num"
	"qpt/kernels/linear"
	"qpt/kernels/quant"
)

// GPTQ (Frantar et al., arXiv 2210.17323) on the grids of kernels: column by
// column, the rounding error of the columns before is made up for,
//
//	v_k = w_k - sum over j < k of e_j U[j, k],  e_k = (v_k - q_k) / U[k, k],  H^-1 = U^T U.
//
// A group's zero and gscale are chosen when its first column is reached, from
// the weights as they are then: of 16 rows at once by the search that rounds to nearest, or by clip.go. Afterwards every code may still move to where
// the quadratic error (w-q) H (w-q)^T is least given all others, and the channel's scale
// is refitted (coordinate descent, as QuantEase, arXiv 2309.01885).
//
// Rows go through both in batches: what a span of columns owes to those
// before is one matrix product.

// job is the rounding of one weight. With scales the grid is one of w*s; all
// errors are those of w.
type job struct {
	w       matrix // [N][K] target
	k       int
	format  linear.Format // I4, I6 or I8
	group   int
	diag    []float32 // [K] importance, nil without feedback: 1
	s       []float32 // [K] scales of the columns, nil: 1
	ut      matrix    // feedback matrix [K][K] or nil: round to nearest
	columns           // in the order of ut (actorder.go)
	h       matrix    // [K][K] for the descent and clip, or nil
	clip    bool      // groups are chosen by their block of h (clip.go)
	hqq     bool      // groups are chosen by HQQ's norm (hqq.go)
	sweeps  int
	threads int
}

// grid is the integers of one row.
type grid struct {
	format       linear.Format
	group        int
	scale        float32
	zero, gscale []uint8 // [G], I4 and I6
}

// step returns the size of one code in column k and the codes' bounds.
func (g *grid) step(k int) (step, lo, hi float32) {
	if !g.format.Grouped() {
		return g.scale, -127, 127
	}
	z, s := g.zero[k/g.group], g.gscale[k/g.group]
	lo, hi = g.format.Range(z, s)
	return g.scale * float32(s), lo, hi
}

// steps calls f for the runs of columns k0 to k1 that share a step.
func (g *grid) steps(k0, k1 int, f func(k0, k1 int, step, lo, hi float32)) {
	for k0 < k1 {
		end := k1
		if g.format.Grouped() {
			end = min(k1, k0-k0%g.group+g.group)
		}
		step, lo, hi := g.step(k0)
		f(k0, end, step, lo, hi)
		k0 = end
	}
}

// nearest rounds v to the grid of column k and returns code (less zero) and value.
func nearest(v, step, lo, hi float32) (int8, float32) {
	if step < 0x1p-120 {
		return 0, 0
	}
	v /= step
	if v < lo { // by far quicker than the builtin min and max
		v = lo
	} else if v > hi {
		v = hi
	}
	c := num.RoundEven(v)
	return int8(c), float32(float32(c) * step)
}

// round returns the packed weight.
func (j *job) round() *linear.Weight { return roundAll([]*job{j})[0] }

// roundAll returns the packed weights of jobs with as many threads.
func roundAll(jobs []*job) []*linear.Weight {
	const most = 128 // rows at once
	type part struct{ job, n0, n1 int }
	var parts []part
	list := make([]*linear.Weight, len(jobs))
	for i, j := range jobs {
		list[i] = linear.NewWeight(j.format, len(j.w), j.k, j.group)
		list[i].AddWild(j.wild)
		n, threads := len(j.w), max(j.threads, 1)
		turns := (n + threads*most - 1) / (threads * most) // every thread has as many
		rows := num.Pad((n+turns*threads-1)/(turns*threads), 16)
		for n0 := 0; n0 < n; n0 += rows {
			parts = append(parts, part{i, n0, min(n0+rows, n)})
		}
	}
	tiles(jobs[0].threads, len(parts), 1, func(i, _ int) {
		p := parts[i]
		jobs[p.job].rows(list[p.job], p.n0, p.n1)
	})
	tiles(jobs[0].threads, len(jobs), 1, func(i, _ int) { linear.FillSums(list[i]) })
	return list
}

// rows rounds rows n0 to n1, n0 a multiple of 16.
func (j *job) rows(w *linear.Weight, n0, n1 int) {
	b := rowBatch{job: j, w: j.w[n0:n1], s: j.s, imp: slices.Clone(j.diag), codes: make([][]int8, n1-n0), grids: make([]grid, n1-n0), buffers: someBuffers.Get().(*buffers)}
	defer someBuffers.Put(b.buffers)
	b.buffers.free()
	if b.s == nil {
		b.s = make([]float32, j.k)
		for k := range b.s {
			b.s[k] = 1
		}
	}
	for k := range b.imp {
		b.imp[k] /= b.s[k] * b.s[k]
	}
	quant := quant.NewQuantizer(j.k, quant.Options{Importance: b.imp})
	scaled := make([]float32, 0, 16*j.k)
	for n := n0; n < n1; n += 16 {
		scaled = scaled[:0]
		for _, row := range j.w[n:min(n+16, n1)] {
			for k, v := range row {
				scaled = append(scaled, v*b.s[k])
			}
			for _, k := range j.wild {
				scaled[len(scaled)-j.k+int(k)] = 0
			}
		}
		quant.Block(w, n/16, scaled)
	}
	groups := 0
	if j.format.Grouped() {
		groups = (j.k + j.group - 1) / j.group
	}
	for i := range b.w {
		g := grid{format: j.format, group: j.group, scale: w.Scale[n0+i]}
		for l := range groups {
			v := w.Groups[((n0+i)/16*groups+l)*16+i%16]
			zero, gscale := j.format.Split(v)
			g.zero, g.gscale = append(g.zero, zero), append(g.gscale, gscale)
		}
		b.grids[i], b.codes[i] = g, make([]int8, j.k)
		linear.Row(w, n0+i, b.codes[i])
		for k := range b.codes[i] { // codes less zero
			if groups > 0 {
				b.codes[i][k] /= int8(g.gscale[k/j.group])
			}
		}
	}
	if groups > 0 && (j.clip || j.hqq) && (j.ut == nil || j.order != nil) {
		b.static()
	}
	if j.ut != nil {
		b.feed(w, n0)
	}
	if j.h != nil && j.sweeps > 0 && j.wild == nil {
		b.descend()
	}
	for i, g := range b.grids {
		w.Scale[n0+i] = g.scale
		for l := range groups {
			w.Groups[((n0+i)/16*groups+l)*16+i%16] = j.format.Join(g.zero[l], g.gscale[l])
		}
		if groups > 0 {
			for k := range b.codes[i] {
				b.codes[i][k] += int8(g.zero[k/j.group])
			}
		}
		linear.PutRow(w, n0+i, b.codes[i])
	}
}

// rowBatch is the rows that one goroutine rounds together.
type rowBatch struct {
	*job
	w      matrix    // [rows][K]
	s, imp []float32 // [K] scales, importance in the scaled coordinates
	grids  []grid
	codes  [][]int8 // [rows][K] less zero

	buffers *buffers
	lanes   struct { // of 16 rows, one group
		rows   matrix
		t, imp []float32 // [group][16]; [group]
	}
}

// buffers are matrices of a batch, which come from the batches before.
type buffers struct {
	data [][]float32
	used int
}

var someBuffers = sync.Pool{New: func() any { return new(buffers) }}

// matrix has values of any kind.
func (b *buffers) matrix(n, k int) matrix {
	if b.used == len(b.data) {
		b.data = append(b.data, nil)
	}
	if cap(b.data[b.used]) < n*k {
		b.data[b.used] = make([]float32, n*k)
	}
	b.used++
	return rowsOf(b.data[b.used-1][:n*k], k)
}

// free makes all matrices so far available again.
func (b *buffers) free() { b.used = 0 }

// feed is GPTQ proper; k counts columns in the order of ut. Wild ones become what makes up best for the others' errors.
func (b *rowBatch) feed(w *linear.Weight, n0 int) {
	group := b.group
	if group == 0 {
		group = 32
	}
	rows := len(b.w)
	errs, v := b.buffers.matrix(rows, b.k), b.buffers.matrix(rows, span) // e, v
	scaled := make([]float32, group)
	many := b.format.Grouped() && b.order == nil && !b.clip && !b.hqq
	var chooser *quant.Chooser
	if many {
		chooser = quant.NewChooser(b.format, group)
	}
	for a := 0; a < b.k; a += span {
		end := min(a+span, b.k)
		for i, row := range b.w {
			for k := a; k < end; k++ {
				v[i][k-a] = row[b.column(k)]
			}
		}
		addProduct(v, errs.view(0, rows, 0, a), b.ut.view(a, end, 0, a), -1)
		for g0 := a; g0 < end; g0 += group {
			g1 := min(g0+group, end)
			v := v.view(0, rows, g0-a, g1-a)
			addProduct(v, errs.view(0, rows, a, g0), b.ut.view(g0, g1, a, g0), -1)
			if many {
				b.chooseMany(chooser, g0, v)
			}
			for i := range b.w {
				g, e, v := &b.grids[i], errs[i], v[i]
				if b.format.Grouped() && b.order == nil && !many {
					for k := g0; k < g1; k++ {
						scaled[k-g0] = v[k-g0] * b.s[k]
					}
					b.choose(g, g0/group, scaled[:g1-g0])
				}
				step, lo, hi := g.step(g0)
				for k := g0; k < g1; k++ {
					u, col := b.ut[k], b.column(k)
					if b.order != nil {
						step, lo, hi = g.step(col)
					}
					x := v[k-g0] - dot32(e[g0:k], u[g0:k])
					if len(b.wild) > 0 && k >= b.k-len(b.wild) {
						b.putWild(w, n0+i, col, x)
						e[k] = 0
						continue
					}
					c, q := nearest(x*b.s[col], step, lo, hi)
					b.codes[i][col] = c
					e[k] = (x - q/b.s[col]) / u[k]
				}
			}
		}
	}
}

// putWild stores the weight of row n in a wild column.
func (j *job) putWild(w *linear.Weight, n, column int, x float32) {
	i, _ := slices.BinarySearch(j.wild, int32(column))
	w.WildData[w.WildAt(n, i)] = x
}

// dot32 is the product of two vectors in four partial sums.
func dot32(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float32(a[i] * b[i])
		s1 += float32(a[i+1] * b[i+1])
		s2 += float32(a[i+2] * b[i+2])
		s3 += float32(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float32(a[i] * b[i])
	}
	return (s0 + s2) + (s1 + s3)
}

// chooseMany picks zero and gscale of the group from column g0 on of all rows, whose weights there are v.
func (b *rowBatch) chooseMany(c *quant.Chooser, g0 int, v matrix) {
	n := len(v[0])
	if len(b.lanes.imp) == 0 {
		b.lanes.rows = newMatrix(16, b.group)
		b.lanes.t, b.lanes.imp = make([]float32, 16*b.group), make([]float32, b.group)
	}
	l := &b.lanes
	clear(l.imp[copy(l.imp, b.imp[g0:g0+n]):])
	for i0 := 0; i0 < len(v); i0 += 16 {
		var scale [16]float32
		for i, row := range l.rows {
			if clear(row); i0+i < len(v) {
				scale[i] = b.grids[i0+i].scale
				for k, x := range v[i0+i] {
					row[k] = x * b.s[g0+k]
				}
			}
		}
		linear.Transpose(l.t, 16, l.rows)
		for i, p := range c.Choose(l.t, l.imp, &scale) {
			if scale[i] >= 0x1p-120 {
				g := &b.grids[i0+i]
				g.zero[g0/b.group], g.gscale[g0/b.group] = b.format.Split(p)
			}
		}
	}
}

// choose picks zero and gscale of group i of g for values v by the cost of clip.go: of clip and hqq.
func (b *rowBatch) choose(g *grid, i int, v []float32) {
	var lo, hi float32
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	if g.scale < 0x1p-120 {
		return
	}
	levels, gscales := g.format.Levels()
	f := (hi - lo) / float32(levels) / g.scale
	if !(f < 1e6) {
		f = float32(gscales)
	}
	top := min(max(int(f)+1, 1), gscales)
	best := float32(math.Inf(1))
	t := grid{format: g.format, group: len(v), scale: g.scale, zero: []uint8{0}, gscale: []uint8{0}}
	cost, d := b.cost(i*b.group, i*b.group+len(v)), make([]float32, len(v))
	try := func(z, s int) {
		t.zero[0], t.gscale[0] = uint8(z), uint8(s)
		step, l, h := t.step(0)
		for k, x := range v {
			_, q := nearest(x, step, l, h)
			d[k] = x - q
		}
		if err := cost(d); err < best {
			best, g.zero[i], g.gscale[i] = err, uint8(z), uint8(s)
		}
	}
	s := int(g.gscale[i])
	if b.hqq { // the zero only
		for z := range levels + 1 {
			try(z, s)
		}
		return
	}
	try(int(g.zero[i]), s)
	for s := top; s >= max(min(int(f/2), gscales), 1); s-- {
		z0 := int(num.RoundEven(min(max(-lo/(g.scale*float32(s)), -2), float32(levels+2))))
		for z := max(z0-2, 0); z <= min(z0+2, levels); z++ {
			try(z, s)
		}
	}
}

// descend lowers (w-q) H (w-q)^T code by code and refits the scales.
func (b *rowBatch) descend() {
	rows := len(b.w)
	b.buffers.free()
	diff, hw, r := b.buffers.matrix(rows, b.k), b.buffers.matrix(rows, b.k), b.buffers.matrix(rows, b.k) // w - q, H w, H (w - q)
	for i := range rows {
		clear(hw[i])
		clear(r[i])
	}
	for i, d := range diff {
		b.grids[i].steps(0, b.k, func(k0, k1 int, step, _, _ float32) {
			for k := k0; k < k1; k++ {
				d[k] = b.w[i][k] - float32(float32(b.codes[i][k])*step)/b.s[k]
			}
		})
	}
	addProduct(hw, b.w, b.h, 1)
	addProduct(r, diff, b.h, 1)
	done := make([]bool, rows)
	for i, g := range b.grids {
		done[i] = g.scale < 0x1p-120
	}
	moves := newMatrix(rows, tile)
	var d, rest matrix
	for range b.sweeps {
		moved := make([]int, rows)
		for a := 0; a < b.k; a += tile {
			end := min(a+tile, b.k)
			d, rest = d[:0], rest[:0] // of the rows in which codes moved
			for i := range rows {
				if done[i] {
					continue
				}
				clear(moves[i])
				if n := b.move(i, a, end, r[i], moves[i]); n > 0 {
					moved[i] += n
					d, rest = append(d, moves[i][:end-a]), append(rest, r[i])
				}
			}
			addProduct(rest.view(0, len(rest), 0, a), d, b.h.view(0, a, a, end), -1)
			addProduct(rest.view(0, len(rest), end, b.k), d, b.h.view(end, b.k, a, end), -1)
		}
		for i := range b.grids {
			if done[i] {
				continue
			}
			b.refit(i, hw[i], r[i])
			done[i] = moved[i] == 0
		}
	}
}

// move lets the codes of row i in columns a to end go where the error is
// least, keeps r there up to date, and notes in d by how much the weights fell; it returns how many moved.
func (b *rowBatch) move(i, a, end int, r, d []float32) (moved int) {
	b.grids[i].steps(a, end, func(k0, k1 int, step, lo, hi float32) {
		for k := k0; k < k1 && step >= 0x1p-120; k++ {
			row := b.h[k]
			if row[k] <= 0 {
				continue
			}
			old := b.codes[i][k]
			c, _ := nearest(float32(float32(old)*step)+r[k]/row[k]*b.s[k], step, lo, hi)
			if c == old {
				continue
			}
			moved++
			b.codes[i][k] = c
			by := float32(float32(c-old)*step) / b.s[k]
			d[k-a] = by
			part := row[a:end]
			for l, v := range r[a:end] {
				r[a+l] = v - float32(by*part[l])
			}
		}
	})
	return moved
}

// refit gives row i the best scale for its codes c: s += (c r) / (c H c), with
// H c = (H w - r) / s.
func (b *rowBatch) refit(i int, hw, r []float32) {
	g := &b.grids[i]
	var cr, chc float64
	g.steps(0, b.k, func(k0, k1 int, step, _, _ float32) {
		for k := k0; k < k1; k++ {
			q := float64(b.codes[i][k]) * float64(step) / float64(b.s[k])
			cr += float64(q * float64(r[k]))
			chc += float64(q * float64(hw[k]-r[k]))
		}
	})
	if !(chc > 0) || math.Abs(cr/chc) > 0.1 {
		return
	}
	f := float32(cr / chc)
	g.scale += float32(f * g.scale)
	for k, v := range hw {
		r[k] -= float32(f * (v - r[k]))
	}
}
