package kernels

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// arena is what benches read weights from: larger than any cache, so that
// decoding reads memory; random, reused.
var arena = sync.OnceValue(func() []byte {
	b := alignedBytes(512 << 20)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := 0; i < 1<<20; i += 8 {
		v := rng.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	for i := 1 << 20; i < len(b); i += 1 << 20 {
		copy(b[i:], b[:1<<20])
	}
	return b
})

// BenchmarkLinear runs every scheme on every shape, on one core, with weights
// that no cache holds. %peak and %read compare with Peak and Read, measured
// beside each: they move with the machine's other tenants.
func BenchmarkLinear(b *testing.B) {
	for _, v := range shapes(b) {
		for _, c := range []struct {
			f     Format
			group int
			form  ActForm
		}{{I8, 0, A8}, {I6, 32, A8}, {I4, 32, A8}, {I8, 0, A16}, {I6, 32, A16}, {I4, 32, A16}} {
			k := choose(c.f, c.form, v.m)
			b.Run(fmt.Sprintf("%s/%dx%dx%d", k.Name(), v.m, v.n, v.k), func(b *testing.B) {
				benchLinear(b, c.f, c.group, c.form, v)
			})
		}
	}
}

func benchLinear(b *testing.B, f Format, group int, form ActForm, v shape) {
	data, groups, gscale, _, _, err := Sizes(f, v.n, v.k, group)
	if err != nil {
		b.Fatal(err)
	}
	var ws []*Weight
	for free := arena(); len(free) >= data+groups; free = free[Pad(data+groups, 64):] {
		np := Pad(v.n, 16)
		ws = append(ws, &Weight{Format: f, N: v.n, K: v.k, Group: group, Data: free[:data], Groups: free[data : data+groups],
			GroupScale: make([]float32, gscale), Scale: make([]float32, np), Sum: make([]int32, np)})
		if f == I4F {
			ws[len(ws)-1].Scale, ws[len(ws)-1].Sum = nil, nil
		}
	}
	x := &Acts{Form: form, M: v.m, K: v.k, Stride: Pad(v.k, 64) + 64, Scale: make([]float32, v.m), Zero: make([]int32, v.m)}
	x.Hi, x.Lo = alignedBytes(v.m*x.Stride), alignedBytes(v.m*x.Stride)
	copy(x.Hi, arena()[123:])
	copy(x.Lo, arena()[321:])
	ldy := v.n + 16
	y := make([]float32, v.m*ldy)
	var s Scratch
	peak, memory := Peak(Product{form, f}, 1)/1e9, Read([][]byte{arena()}, 1)/1e9
	i := 0
	for b.Loop() {
		Linear(y, ldy, x, ws[i%len(ws)], 0, ws[0].Blocks(), Epilogue{}, &s)
		i++
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	gops := float64(v.m) * float64(v.n) * float64(v.k) * 2 / 1e9 / seconds
	gbs := float64(data+groups) / 1e9 / seconds
	b.ReportMetric(gops, "GOPS")
	b.ReportMetric(gops/peak*100, "%peak")
	b.ReportMetric(gbs, "GB/s")
	b.ReportMetric(gbs/memory*100, "%read")
}
