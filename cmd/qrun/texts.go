package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/runtime/encoder"
	"qpt/runtime/lm/corpus"
)

// texts are those that embed and classify read: arguments, lines of a file or of stdin.
type texts struct {
	*options
	input string
}

func (x *texts) flags(c *cobra.Command) {
	c.Flags().StringVarP(&x.input, "input", "i", "", "`FILE` of texts, a line each, or .jsonl with \"text\" (and \"pair\"); - for stdin")
	cli.CompleteFiles(c, "", "qpt")
	cli.CompleteFiles(c, "input", "txt", "jsonl")
}

// open loads the model and reads the texts: the model is the first argument unless --model gives it.
func (x *texts) open(c *cobra.Command, args []string) (*encoder.Model, []encoder.Input, error) {
	if x.model == "" && len(args) > 0 {
		x.model, args = args[0], args[1:]
	}
	if err := cli.ModelArg(c, nil, &x.model); err != nil {
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

// batches is how many texts are held at a time, so that results come while others are to be computed.
const batches = 1024
