package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/outfile"
	"qpt/internal/ui"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/corpus"
)

// texts are those that embed and classify read: arguments, lines of a file or of stdin.
type texts struct {
	*options
	input, output string
	resume        bool
	part          shard
}

func (x *texts) flags(c *cobra.Command) {
	c.Flags().StringVarP(&x.input, "input", "i", "", "`FILE` of texts, a line each, or .jsonl with \"text\" (and \"pair\"); - for stdin")
	c.Flags().StringVarP(&x.output, "output", "o", "", "`FILE` for the results (default stdout)")
	c.Flags().BoolVar(&x.resume, "resume", false, "write the output as results come, and go on with one that is there")
	x.part.flag(c)
	cli.CompleteFiles(c, "", "qpt")
	cli.CompleteFiles(c, "input", "txt", "jsonl")
}

// pictures are the arguments behind the model, or the input, if they are pictures; else nil. The model is taken then.
func (x *texts) pictures(args []string) []string {
	model, paths := x.model, args
	if model == "" && len(args) > 0 {
		model, paths = args[0], args[1:]
	}
	if len(paths) == 0 && x.input != "" && x.input != "-" {
		paths = []string{x.input}
	}
	if len(paths) == 0 || slices.ContainsFunc(paths, func(p string) bool { return !isPictures(p) }) {
		return nil
	}
	x.model = model
	return paths
}

// open loads the model and reads the texts: the model is the first argument unless --model gives it.
func (x *texts) open(c *cobra.Command, args []string) (*encoder.Model, []encoder.Input, error) {
	if x.model == "" && len(args) > 0 {
		x.model, args = args[0], args[1:]
	}
	if err := cli.ModelArg(c, nil, &x.model); err != nil {
		return nil, nil, err
	}
	if err := needsOutput(x.resume, x.output); err != nil {
		return nil, nil, err
	}
	if len(args) > 0 && x.input != "" {
		return nil, nil, fmt.Errorf("%w: texts as arguments and --input contradict each other", cli.ErrUsage)
	}
	opt, err := x.settings()
	if err != nil {
		return nil, nil, err
	}
	var in []encoder.Input
	for _, text := range args {
		in = append(in, encoder.Input{Text: text})
	}
	if len(args) == 0 {
		if x.input == "" && !piped() {
			return nil, nil, fmt.Errorf("%w: which texts? give them as arguments, with --input FILE or on stdin", cli.ErrUsage)
		}
		if in, err = x.read(c.Context()); err != nil {
			return nil, nil, err
		}
	}
	m, err := encoder.Load(x.model, opt)
	return m, in, err
}

// read reads the lines of --input or stdin.
func (x *texts) read(ctx context.Context) ([]encoder.Input, error) {
	name := x.input
	var text string
	var err error
	if name == "" || name == "-" {
		name = "stdin"
		text, err = readStdin(ctx)
	} else {
		var f *os.File
		if f, err = os.Open(name); err != nil {
			return nil, fmt.Errorf("--input: %w", err)
		}
		defer f.Close()
		var data []byte
		if data, err = io.ReadAll(io.LimitReader(f, maxText+1)); err == nil && len(data) > maxText {
			err = fmt.Errorf("%w: %s: texts of at most 256 MiB are read", errInput, name)
		}
		if err == nil {
			text, err = utf8Text(name, data)
		}
	}
	if err != nil {
		return nil, err
	}
	text = strings.TrimSuffix(text, "\n")
	var in []encoder.Input
	for i, line := range strings.Split(text, "\n") {
		if !x.part.has(i) {
			continue
		}
		line = strings.TrimSuffix(line, "\r")
		one := encoder.Input{Text: line}
		if corpus.Lines(name) {
			if one, err = jsonLine(line); err != nil {
				return nil, fmt.Errorf("%w: %s: line %d: %w", errInput, name, i+1, err)
			}
		}
		in = append(in, one)
	}
	return in, nil
}

// jsonLine is a line of a .jsonl file: other keys than text and pair do not matter.
func jsonLine(line string) (encoder.Input, error) {
	var l struct{ Text, Pair *string }
	if err := json.Unmarshal([]byte(line), &l); err != nil || l.Text == nil {
		return encoder.Input{}, fmt.Errorf(`must be an object with a string "text", and "pair" for a second one`)
	}
	in := encoder.Input{Text: *l.Text}
	if l.Pair != nil {
		in.Pair = *l.Pair
	}
	return in, nil
}

// results is where the results of in go: stdout, a file that is there when all is done, or with --resume one that grows.
// count reads what such a file holds: how many results, and the bytes that they take; the texts that are left come back. done
// ends the file.
func (x *texts) results(inputs int, count func(r io.Reader) (n int, whole int64, err error)) (w *bufio.Writer, from int, done func(error) error, err error) {
	if x.output == "" || x.output == "-" {
		w = bufio.NewWriter(ui.Stdout)
		return w, 0, func(err error) error { return errors.Join(err, w.Flush()) }, nil
	}
	if err := outfile.Check(x.output, x.model, x.input); err != nil {
		return nil, 0, nil, fmt.Errorf("--output: %w", err)
	}
	if !x.resume {
		file, err := outfile.Create(x.output)
		if err != nil {
			return nil, 0, nil, fmt.Errorf("--output: %w", err)
		}
		w = bufio.NewWriter(file)
		return w, 0, func(err error) error {
			defer file.Abort()
			if err == nil {
				err = w.Flush()
			}
			if err == nil {
				err = file.Commit()
			}
			return err
		}, nil
	}
	n := 0
	file, err := resume(x.output, func(r io.Reader) (whole int64, err error) { n, whole, err = count(r); return whole, err })
	if err != nil {
		return nil, 0, nil, err
	}
	if n > inputs {
		file.Close()
		return nil, 0, nil, fmt.Errorf("%w: --output %s has %d results, there are %d inputs: it is of another", errInput, x.output, n, inputs)
	}
	w = bufio.NewWriter(file)
	return w, n, func(err error) error { return errors.Join(err, w.Flush(), file.Close()) }, nil
}

// countLines counts whole lines, or only empty ones, each of which ends a result.
func countLines(r io.Reader, empty bool) (n int, whole int64, err error) {
	lines := bufio.NewReaderSize(r, 1<<16)
	var at int64
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return n, whole, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if at += int64(len(line)); !empty || len(line) == 1 {
			n, whole = n+1, at
		}
	}
}

// batches is how many texts are held at a time, so that results come while others are to be computed.
const batches = 1024
