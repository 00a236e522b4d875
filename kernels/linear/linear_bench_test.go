package linear_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"qpt/internal/cpu"
	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels/internal/mem"
	"qpt/kernels/linear"
	"qpt/kernels/probe"
)

// arena is what benches read weights from: larger than any cache, so that
// decoding reads memory; random, reused.
var arena = sync.OnceValue(func() []byte {
	b := mem.Bytes(512 << 20)
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

// BenchmarkLinear runs every scheme on every shape, on one core and on all that GOMAXPROCS allows, with weights
// that no cache holds, by the kernel of the rule. %peak and %read compare with Peak and Read, measured beside each: they move with
// the machine's other tenants. On AMX %fed compares with FedTiles, the mean of before and after; where fed-after/before is not about 1 the
// core's state changed meanwhile, and the line means little. %bf16 of prompts with 16-bit inputs compares with what bfloat16
// rows and weights reach when the second-level cache holds them.
func BenchmarkLinear(b *testing.B) {
	for _, v := range shapes(b) {
		for _, c := range []struct {
			f     linear.Format
			group int
			form  linear.ActForm
		}{{linear.I8, 0, linear.A8}, {linear.I6, 32, linear.A8}, {linear.I4, 32, linear.A8}, {linear.I8, 0, linear.A16}, {linear.I6, 32, linear.A16}, {linear.I4, 32, linear.A16}} {
			k := linear.KernelFor(c.f, c.form, v.m)
			for _, cores := range slices.Compact([]int{1, runtime.GOMAXPROCS(0)}) {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/cores=%d", k.Name(), v.m, v.n, v.k, cores), func(b *testing.B) {
					benchLinear(b, *k, c.group, v, cores)
				})
			}
		}
	}
}

// benchTask is one call of a kernel, its columns shared out as the executor does.
type benchTask struct {
	call  func(b0, b1 int, s *linear.Scratch)
	chunk int
	total int
	s     []linear.Scratch
}

func (t *benchTask) Do(worker, item int) {
	t.call(item*t.chunk, min((item+1)*t.chunk, t.total), &t.s[worker])
}

func benchLinear(b *testing.B, k linear.Kernel, group int, v shape, cores int) {
	data, groups, gscale, _, _, err := linear.Sizes(k.Format, v.n, v.k, group)
	if err != nil {
		b.Fatal(err)
	}
	var ws []*linear.Weight
	for free := arena(); len(free) >= data+groups; free = free[num.Pad(data+groups, 64):] {
		np := num.Pad(v.n, 16)
		ws = append(ws, &linear.Weight{Format: k.Format, N: v.n, K: v.k, Group: group, Data: free[:data], Groups: free[data : data+groups],
			GroupScale: make([]float32, gscale), Scale: make([]float32, np), Sum: make([]int32, np)})
	}
	x := &linear.Acts{Form: k.Form, M: v.m, K: v.k, Stride: num.Pad(v.k, 64) + 64, Scale: make([]float32, v.m), Zero: make([]int32, v.m)}
	x.Hi, x.Lo = mem.Bytes(v.m*x.Stride), mem.Bytes(v.m*x.Stride)
	copy(x.Hi, arena()[123:])
	copy(x.Lo, arena()[321:])
	ldy := v.n + 16
	y := make([]float32, v.m*ldy)
	pool := par.New(cores)
	defer pool.Close()
	workers := pool.Workers()
	i := 0
	t := &benchTask{
		call: func(b0, b1 int, s *linear.Scratch) { k.Run(y[16*b0:], ldy, x, ws[i%len(ws)], b0, b1, false, s) },
		s:    make([]linear.Scratch, workers), total: ws[0].Blocks(),
	}
	t.chunk = max(num.Pad(t.total/(4*workers), 4), 4)
	peak, memory := probe.Peak(probe.Product{Acts: k.Form, Weights: k.Format}, workers)/1e9, probe.Read([][]byte{arena()}, workers)/1e9
	fed := probe.FedTiles(workers) / 1e9
	pool.Begin()
	for b.Loop() {
		pool.Run(t, (t.total+t.chunk-1)/t.chunk)
		i++
	}
	pool.End()
	seconds := b.Elapsed().Seconds() / float64(b.N)
	gops := float64(v.m) * float64(v.n) * float64(v.k) * 2 / 1e9 / seconds
	gbs := float64(data+groups) / 1e9 / seconds
	b.ReportMetric(gops, "GOPS")
	b.ReportMetric(gops/peak*100, "%peak")
	if fed > 0 && k.ISA == cpu.AMX {
		after := probe.FedTiles(workers) / 1e9
		b.ReportMetric(gops/(fed+after)*200, "%fed")
		b.ReportMetric(after/fed, "fed-after/before")
	}
	b.ReportMetric(gbs, "GB/s")
	b.ReportMetric(gbs/memory*100, "%read")
	if k.Form == linear.A16 && v.m > 32 {
		b.ReportMetric(gops*1e9/bf16FromL2(pool)*100, "%bf16")
	}
}

// bf16FromL2 is how many multiplications and additions a second the workers do with bfloat16, 256x256x1024 each.
func bf16FromL2(pool *par.Pool) float64 {
	const m, n, k = 256, 256, 1024
	workers := pool.Workers()
	w, x, y := linear.NewWeight(linear.BF16, n, k, 0), linear.NewActs(linear.ABF16, m, k).Reset(m), make([]float32, workers*m*n)
	t := &benchTask{chunk: 1, total: workers, s: make([]linear.Scratch, workers)}
	t.call = func(i, _ int, s *linear.Scratch) {
		linear.Linear(linear.Sink{Y: y[i*m*n:], Ld: n}, x, w, 0, w.Blocks(), s)
	}
	best := time.Duration(math.MaxInt64)
	pool.Begin()
	defer pool.End()
	for range 8 {
		start := time.Now()
		pool.Run(t, workers)
		best = min(best, time.Since(start))
	}
	return 2 * float64(workers*m*n*k) / best.Seconds()
}

// shape is a linear layer to measure, a line of testdata/shapes.txt.
type shape struct{ m, n, k int }

func shapes(tb testing.TB) (s []shape) {
	f, err := os.Open("testdata/shapes.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var v shape
		if n, _ := fmt.Sscan(in.Text(), &v.m, &v.n, &v.k); n == 3 {
			s = append(s, v)
		}
	}
	return s
}
