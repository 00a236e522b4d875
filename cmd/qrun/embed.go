package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/num"
	"qpt/runtime/encoder"
)

func embedCommand(o *options) *cobra.Command {
	x := &texts{options: o}
	var form string
	c := &cobra.Command{
		Use:   "embed FILE.qpt [TEXT ..]",
		Short: "Embeddings of texts",
		Long: `embed writes the embedding of each text, in their order. Texts are arguments, or lines of
--input or of stdin, or of a .jsonl file the values of "text". --format floats writes a
line of numbers for each, binary 32-bit floats, little endian, row after row. Texts longer than
the model's limit are cut. Texts run many in a pass, without padding; what runs
beside a text changes nothing in its embedding. With --resume an output that is there
already is gone on with, so that a run that was stopped is just started again.`,
		Example: `  qrun embed minilm.qpt "A man is eating food." "The girl is carrying a baby."
  qrun embed minilm.qpt --input texts.jsonl --format binary --output texts.f32
  qrun embed minilm.qpt --input texts.jsonl --shard 3/8 --output part-3.txt --resume`,
		RunE: func(c *cobra.Command, args []string) error {
			if form != "floats" && form != "binary" {
				return fmt.Errorf("%w: --format %s: want floats or binary", cli.ErrUsage, form)
			}
			if o.JSON && (x.output != "" || form != "floats") {
				return fmt.Errorf("%w: --json writes one document on stdout: leave out --output and --format", cli.ErrUsage)
			}
			m, in, err := x.open(c, args)
			if err != nil {
				return err
			}
			defer m.Close()
			for _, t := range in {
				if t.Pair != "" {
					return fmt.Errorf(`%w: %s: "pair" is for classify: an embedding is of one text`, errInput, x.input)
				}
			}
			doc := embedDoc{Schema: 1, Command: "embed", Model: o.model, Embeddings: [][]float32{}}
			each := func(v []float32) error { doc.Embeddings = append(doc.Embeddings, v); return nil }
			done := func(err error) error { return err }
			if !o.JSON {
				w, left, end, err := x.results(in, func(r io.Reader) (int, int64, error) {
					if row := int64(4 * m.Width()); form == "binary" && row > 0 {
						size, err := io.Copy(io.Discard, r)
						return int(size / row), size / row * row, err
					}
					return countLines(r, false)
				})
				if err != nil {
					return err
				}
				in, done = left, end
				each = func(v []float32) error { return writeVector(w, v, form) }
			}
			err = x.embed(c.Context(), m, in, each)
			if err = done(err); err != nil || !o.JSON {
				return err
			}
			return cli.Document(doc)
		},
	}
	x.flags(c)
	f := c.Flags()
	f.StringVar(&form, "format", "floats", "`FORM` of the embeddings: floats, binary")
	cli.CompleteWords(c, "format", "floats", "binary")
	return c
}

// embed shows the embeddings of texts to each, in their order.
func (x *texts) embed(ctx context.Context, m *encoder.Model, in []encoder.Input, each func(v []float32) error) error {
	for part := range slices.Chunk(in, batches) {
		var list []string
		for _, t := range part {
			list = append(list, t.Text)
		}
		vectors, err := m.Embed(ctx, list)
		if err != nil {
			return taskError(err)
		}
		for _, v := range vectors {
			if err := each(v); err != nil {
				return err
			}
		}
	}
	return nil
}

type embedDoc struct {
	Schema     int         `json:"schema"`
	Command    string      `json:"command"`
	Model      string      `json:"model"`
	Embeddings [][]float32 `json:"embeddings"`
}

// writeVector writes a line of numbers that read back as the same floats, or the floats themselves.
func writeVector(w io.Writer, v []float32, form string) error {
	if form == "binary" {
		_, err := w.Write(num.BytesOf(v))
		return err
	}
	line := make([]byte, 0, 12*len(v))
	for i, x := range v {
		if i > 0 {
			line = append(line, ' ')
		}
		line = strconv.AppendFloat(line, float64(x), 'g', -1, 32)
	}
	_, err := w.Write(append(line, '\n'))
	return err
}

// taskError makes a model of another task wrong use.
func taskError(err error) error {
	if errors.Is(err, encoder.ErrTask) {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	return err
}
