// Command encoders holds files of one encoder against each other on lines of text: how far their embeddings are from
// those of the first file, and how many texts each takes a second, in turns:
//
//	go run ./bench/encoders --text LINES.txt minilm.f32.qpt minilm.da8w8.qpt
//
// --peer COMMAND adds a program that reads the same lines; bench/encoders/peer.py is one for ONNX Runtime and OpenVINO. It is started once, prints a
// line when it is ready, and for each line that it gets, the path of a text, embeds all its lines and prints the seconds that took.
// bench/encoders/peers.sh makes texts and files, and runs all.
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/encoder"
)

var least = pflag.Int("least", 1, "how many of the least alike texts to print")

func main() {
	files := pflag.StringArray("text", nil, "`FILE` of texts, one a line; several are taken one after the other")
	rounds := pflag.Int("rounds", 3, "how often each takes its turn, after one that is not counted; 0: that one alone")
	threads := pflag.Int("threads", 2, "worker threads")
	peers := pflag.StringArray("peer", nil, "`COMMAND` of another program, which gets the threads")
	profile := pflag.String("cpuprofile", "", "write a CPU profile to `FILE`")
	pflag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "encoders: error:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(*files, *rounds, *threads, *peers, pflag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "encoders: error:", err)
		os.Exit(1)
	}
}

// side is one that embeds all texts; it tells the seconds.
type side struct {
	name    string
	once    func(path string, texts []string) (float64, error)
	vectors [][]float32 // of the last time, nil for a peer
	seconds []float64
}

func run(paths []string, rounds, threads int, peers, files []string) error {
	var sides []*side
	for _, file := range files {
		m, err := encoder.Load(file, runtime.Options{Threads: threads})
		if err != nil {
			return err
		}
		defer m.Close()
		s := &side{name: filepath.Base(file)}
		s.once = func(_ string, texts []string) (seconds float64, err error) {
			start := time.Now()
			s.vectors, err = m.Embed(context.Background(), texts)
			return time.Since(start).Seconds(), err
		}
		sides = append(sides, s)
	}
	for _, command := range peers {
		once, err := peer(command, threads)
		if err != nil {
			return err
		}
		sides = append(sides, &side{name: command, once: once})
	}
	for _, path := range paths {
		if err := inTurns(path, rounds, sides); err != nil {
			return err
		}
	}
	return nil
}

// inTurns measures all sides on the lines of a file.
func inTurns(path string, rounds int, sides []*side) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var texts []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			texts = append(texts, line)
		}
	}
	for _, s := range sides {
		s.seconds = nil
	}
	for round := range rounds + 1 { // the first warms up
		for _, s := range sides {
			x, err := s.once(path, texts)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if round > 0 || rounds == 0 {
				s.seconds = append(s.seconds, x)
			}
		}
	}
	table := ui.NewTable("", "texts/s", "best", "least cosine", "1 %", "10 %", "median", "below 0.999")
	for _, s := range sides {
		slices.Sort(s.seconds)
		row := []any{s.name, rate(texts, s.seconds[len(s.seconds)/2]), rate(texts, s.seconds[0])}
		if s.vectors != nil {
			var list []float64
			for i, v := range s.vectors {
				list = append(list, cosine(v, sides[0].vectors[i]))
			}
			order := make([]int, len(list))
			for i := range order {
				order[i] = i
			}
			slices.SortFunc(order, func(a, b int) int { return cmp.Compare(list[a], list[b]) })
			for _, i := range order[:min(*least, len(order))] {
				fmt.Printf("%s: line %d has %.5f: %.100q\n", s.name, i+1, list[i], texts[i])
			}
			slices.Sort(list)
			below, _ := slices.BinarySearch(list, 0.999)
			for _, p := range []int{0, 1, 10, 50} {
				row = append(row, fmt.Sprintf("%.5f", list[p*(len(list)-1)/100]))
			}
			row = append(row, below)
		}
		table.Row(row...)
	}
	fmt.Printf("%s: %d texts\n", filepath.Base(path), len(texts))
	return table.Print(os.Stdout)
}

func rate(texts []string, seconds float64) string {
	return strconv.FormatFloat(float64(len(texts))/seconds, 'f', 1, 64)
}

// peer starts a program and returns what makes it work once.
func peer(command string, threads int) (func(path string, texts []string) (float64, error), error) {
	c := exec.Command("sh", "-c", command+` "$@"`, "sh", strconv.Itoa(threads))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	read := func() (string, error) {
		if !lines.Scan() {
			return "", fmt.Errorf("it has ended: %w", io.ErrUnexpectedEOF)
		}
		return lines.Text(), nil
	}
	if _, err := read(); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return func(path string, _ []string) (float64, error) {
		if _, err := fmt.Fprintln(in, path); err != nil {
			return 0, err
		}
		line, err := read()
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(line, 64)
	}, nil
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}
