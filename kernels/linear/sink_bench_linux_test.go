package linear_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"qpt/kernels/elem"
	"qpt/kernels/linear"

	"golang.org/x/sys/unix"
)

// BenchmarkSink: gate, up, silu, product and the rows of the next layer, of 2048 inputs and 5632 results (1.1B), step by
// step and in one sink, in turns: medians of a core's own time, which other load moves least, in microseconds.
func BenchmarkSink(b *testing.B) {
	const n, k = 5632, 2048
	silu, _ := elem.Unary("silu")
	for _, c := range []struct {
		f      linear.Format
		static bool
	}{{linear.I4, false}, {linear.I8, false}, {linear.I8, true}, {linear.BF16, false}} {
		form := linear.A8
		if c.f == linear.BF16 {
			form = linear.ABF16
		}
		var layers [6]*linear.Weight // more than a cache holds
		for i := range layers {
			layers[i] = linear.NewWeight(c.f, n, k, 32)
		}
		for _, m := range []int{1, 16, 128, 512} {
			b.Run(fmt.Sprintf("%s/static=%v/M=%d", c.f, c.static, m), func(b *testing.B) {
				x, rows := linear.NewActs(form, m, k).Reset(m), linear.NewActs(form, m, n).Reset(m)
				g, u, row := make([]float32, m*n), make([]float32, m*n), make([]float32, n)
				var s linear.Scratch
				next := func(y []float32, r int) {
					if c.static {
						rows.QuantizeStatic(r, r+1, y, 0, 0.1, 128)
					} else {
						rows.Quantize(r, r+1, y, 0)
					}
				}
				steps := func(gate, up *linear.Weight) {
					linear.Linear(linear.Sink{Y: g, Ld: n}, x, gate, 0, n/16, &s)
					linear.Linear(linear.Sink{Y: u, Ld: n}, x, up, 0, n/16, &s)
					for r := range m {
						elem.SiLUMul(row, g[r*n:][:n], u[r*n:][:n])
						next(row, r)
					}
				}
				one := func(gate, up *linear.Weight) {
					to := linear.Sink{Func: silu, Gate: gate}
					if c.static || form == linear.ABF16 {
						to.Acts, to.Scale, to.Zero = rows, 0.1, 128
						if c.static {
							rows.SetStatic(0.1, 128)
						}
					} else {
						to.Y, to.Ld = g, n
					}
					linear.Linear(to, x, up, 0, n/16, &s)
					for r := 0; to.Y != nil && r < m; r++ {
						next(g[r*n:][:n], r)
					}
				}
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				var times [2][]float64
				for i := 0; b.Loop(); i++ {
					for j, f := range []func(gate, up *linear.Weight){steps, one} {
						start := threadTime()
						f(layers[2*(i%3)], layers[2*(i%3)+1])
						times[j] = append(times[j], threadTime()-start)
					}
				}
				slices.Sort(times[0])
				slices.Sort(times[1])
				before, after := times[0][len(times[0])/2], times[1][len(times[1])/2]
				b.ReportMetric(before*1e6, "steps-us")
				b.ReportMetric(after*1e6, "sink-us")
				b.ReportMetric(after/before*100, "%")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// threadTime is the time that this thread has run, in seconds.
func threadTime() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return float64(t.Nano()) / 1e9
}
