package linear

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"qpt/internal/cpu"
)

// Tuning is what was measured about one shape of integer layer: how fast each
// kernel, that is, instruction set and tile, multiplies so many rows. Every kernel gives the same bits, so
// a choice made from it changes only the time.
type Tuning struct {
	Format string      `json:"format"`
	Form   string      `json:"form"`
	Group  int         `json:"group,omitempty"`
	N      int         `json:"n"`
	K      int         `json:"k"`
	Rows   []TunedRows `json:"rows"`
}

// TunedRows are the kernels for M rows and up to the next entry's M, fastest first.
type TunedRows struct {
	M       int           `json:"m"`
	Kernels []TunedKernel `json:"kernels"`
}

// TunedKernel is a kernel's time for a block of 16 columns.
type TunedKernel struct {
	Kernel string  `json:"kernel"` // instruction set and tile: "amx", "avx2-6x16"
	US     float64 `json:"us"`
}

// tunedRows are the numbers of rows that are measured. With more the kernels
// keep their order; one row waits for memory, and the rule knows best. The last is
// for tiles of prompts: kernels that were far behind are left out.
var tunedRows = []int{2, 3, 4, 6, 8, 12, 16, 32, 256}

// tuneBlocks are enough blocks for a call of any kernel to be whole, and few
// enough to be measured in no time.
const tuneBlocks = 16

// rivals are the kernels worth measuring: VNNI and better, and AVX2 on machines without.
func rivals(f Format, form ActForm) (ks []*Kernel) {
	least := max(min(cpu.Detected(), cpu.AVXVNNI), cpu.AVX2)
	for i := range list {
		if k := &list[i]; k.Format == f && k.Form == form && k.ISA >= least && k.Available() {
			ks = append(ks, k)
		}
	}
	return ks
}

// NewTuning measures w with rows of a form, in some 35 ms (AVX2) on one
// core. It returns nil when there is nothing to choose here: one kernel at most.
func NewTuning(w *Weight, form ActForm) *Tuning {
	ks := rivals(w.Format, form)
	if len(ks) < 2 {
		return nil
	}
	t := &Tuning{Format: w.Format.String(), Form: form.String(), Group: w.Group, N: w.N, K: w.K}
	top := tunedRows[len(tunedRows)-1]
	x := NewActsFor(form, w.Rows(), top, w.K).Reset(top)
	rng := rand.New(rand.NewPCG(1, 2))
	row := make([]float32, w.K)
	for m := range top {
		for i := range row {
			row[i] = rng.Float32() - 0.5
		}
		x.Quantize(m, m+1, row, 0)
	}
	blocks := min(w.Blocks(), tuneBlocks)
	y := make([]float32, top*16*blocks)
	var s Scratch
	for _, m := range tunedRows {
		r := TunedRows{M: m}
		x.Reset(m)
		for _, k := range ks {
			if m == top && t.farBehind(k) {
				continue
			}
			best := time.Duration(1<<63 - 1)
			for range 4 { // the first warms up
				start := time.Now()
				k.linear(y, 16*blocks, x, w, 0, blocks, false, &s)
				best = min(best, time.Since(start))
			}
			r.Kernels = append(r.Kernels, TunedKernel{k.variant(), float64(best.Nanoseconds()) / 1e3 / float64(blocks)})
		}
		rank(r.Kernels)
		t.Rows = append(t.Rows, r)
	}
	return t
}

// rank sorts by time, the fastest first, but that those within 3 % of the first, and then of the
// first that is not, keep their order: a clock that stands still decides nothing.
func rank(ks []TunedKernel) {
	at := map[string]int{}
	for i, k := range ks {
		at[k.Kernel] = i
	}
	slices.SortStableFunc(ks, func(a, b TunedKernel) int { return cmp.Compare(a.US, b.US) })
	for len(ks) > 0 {
		n := 1
		for n < len(ks) && ks[0].US >= 0.97*ks[n].US {
			n++
		}
		slices.SortFunc(ks[:n], func(a, b TunedKernel) int { return cmp.Compare(at[a.Kernel], at[b.Kernel]) })
		ks = ks[n:]
	}
}

// farBehind tells whether k took more than 1.5 times the fastest's time for the rows measured last.
func (t *Tuning) farBehind(k *Kernel) bool {
	last := t.Rows[len(t.Rows)-1].Kernels
	return slices.ContainsFunc(last, func(o TunedKernel) bool { return o.Kernel == k.variant() && o.US > 1.5*last[0].US })
}

// Shape tells whether t was measured on layers like w.
func (t *Tuning) Shape(w *Weight, form ActForm) bool {
	return t.Format == w.Format.String() && t.Form == form.String() && t.Group == w.Group && t.N == w.N && t.K == w.K
}

// Fits tells whether t was measured on layers like w with every kernel that could run now.
func (t *Tuning) Fits(w *Weight, form ActForm) bool {
	if !t.Shape(w, form) || len(t.Rows) != len(tunedRows) {
		return false
	}
	for i, r := range t.Rows {
		if r.M != tunedRows[i] || len(r.Kernels) == 0 {
			return false
		}
	}
	for _, k := range rivals(w.Format, form) {
		if !slices.ContainsFunc(t.Rows[0].Kernels, func(t TunedKernel) bool { return t.Kernel == k.variant() }) {
			return false
		}
	}
	return true
}

// tuned is a choice as Linear looks it up: for each of tunedRows the kernels, best first.
type tuned struct {
	form    ActForm
	kernels [][]*Kernel
}

// Tune makes Linear on w follow a measurement that Fits. It must not run beside Linear.
func (w *Weight) Tune(form ActForm, t *Tuning) {
	c := &tuned{form: form}
	ks := rivals(w.Format, form)
	for _, r := range t.Rows {
		var order []*Kernel
		for _, m := range r.Kernels {
			for _, k := range ks {
				if k.variant() == m.Kernel {
					order = append(order, k)
				}
			}
		}
		c.kernels = append(c.kernels, order)
	}
	w.tuned = c
}

// kernel returns what Linear runs on w for m rows: the fastest measured, else by rule.
func (w *Weight) kernel(form ActForm, m int) *Kernel {
	if w.tuned != nil && w.tuned.form == form && m >= tunedRows[0] {
		i := len(tunedRows) - 1
		for i > 0 && m < tunedRows[i] {
			i--
		}
		for _, k := range w.tuned.kernels[i] {
			if k.Available() { // the level may be lower now
				return k
			}
		}
	}
	return choose(w.Format, form, m)
}

// Chosen names the kernel that Linear runs on w for m rows of a form, "" if there is none.
func (w *Weight) Chosen(form ActForm, m int) string {
	if k := w.kernel(form, m); k != nil {
		return k.Name()
	}
	return ""
}
