package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"qpt/convert"
	"qpt/internal/ui"
	"qpt/runtime"
)

// cost shows what float32 takes: the time of a conversion and of the second pass of a picture, and the most memory of each above what the
// process held before, beside the size of the archive.
func cost(dirs []string, only func(name string) bool) error {
	debug.SetGCPercent(convert.GCPercent) // as qconv
	tmp, err := os.MkdirTemp("", "vision-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	table := ui.NewTable("network", "MiB", "convert s", "MiB at most", "run ms", "MiB at most")
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.pt2"))
		if err != nil {
			return err
		}
		for _, in := range files {
			name := strings.TrimSuffix(filepath.Base(in), ".pt2")
			if !only(name) || strings.HasSuffix(name, ".pt2e") {
				continue
			}
			st, err := os.Stat(in)
			if err != nil {
				return err
			}
			out := filepath.Join(tmp, "f32.qpt")
			done := memory()
			from := time.Now()
			plan, err := convert.MakePlan(convert.Options{In: in, Out: out, Scheme: "f32"})
			if err == nil {
				_, err = plan.Run(context.Background(), convert.Hooks{})
				plan.Close()
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
				continue
			}
			seconds, converted := time.Since(from).Seconds(), done()
			done = memory()
			ms, err := pass(out)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			os.Remove(out)
			table.Row(name, mib(st.Size()), fmt.Sprintf("%.2f", seconds), mib(converted), fmt.Sprintf("%.1f", ms), mib(done()))
		}
	}
	return table.Print(os.Stdout)
}

func mib(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }

// memory returns the most memory held since, above what is held now.
func memory() func() int64 {
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the high-water mark begins anew
	now := ui.PeakMemory()
	return func() int64 { return ui.PeakMemory() - now }
}

// pass is how many ms the second pass of a picture takes; the first makes the workspace.
func pass(file string) (float64, error) {
	m, err := runtime.Load(file, runtime.Options{})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	in := inputs(m, 1)
	if _, err := m.Run(context.Background(), in, runtime.RunOptions{}); err != nil {
		return 0, err
	}
	from := time.Now()
	_, err = m.Run(context.Background(), in, runtime.RunOptions{})
	return 1e3 * time.Since(from).Seconds(), err
}
