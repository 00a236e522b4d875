// Package format reads and writes .qpt files, the container of a quantized
// model (spec/qpt.md says every byte).
//
// A file is a header, sections and a table of the sections. Weight sections lie
// raw and page-aligned, so that they are used where the file is mapped; the
// small ones (meta, graph, tensor directory, tokenizer, references) are zstd.
//
// To read, call Open, then Program for a graph, Meta, Tensors, Activations, References and Rewrites for the other typed
// sections, Data for the bytes of any section and Part for one tensor's bytes:
//
//	f, err := format.Open("model.qpt")
//	if err != nil { ... }
//	defer f.Close()
//	tensors, err := f.Tensors()
//	data, err := f.Part(tensors[0].Parts[0])
//
// Lifetimes: everything that Data and Part return points into the mapped file
// or into memory that belongs to the File, is read-only (a write to a mapped
// section faults) and ends with Close. If another process truncates the file
// while it is mapped, touching the lost pages raises SIGBUS; whoever computes on
// the mapping deals with that. The typed sections are copies and stay valid.
//
// Errors about a file match ErrCorrupt, or ErrUnsupported where only a newer version knows what it holds. A file that this
// version has written loads in every later one.
//
// Open checks everything about the layout; Data checks a section's CRC-32C
// once, when it is first asked for; Verify checks every byte of the file.
//
// To write, call Create, write sections one after the other, then Commit:
//
//	w, err := format.Create("model.qpt", format.WriteOptions{})
//	if err != nil { ... }
//	defer w.Abort() // does nothing after Commit
//	s, err := w.Section(format.KindWeights, "weights", format.Raw)
//	off := s.Offset()
//	s.Write(data)
//	s.Align(64)
//	err = s.Close()
//	err = w.WriteTensors(tensors)
//	err = w.Commit()
//
// The target appears only when Commit succeeds. The same calls give the same
// bytes, for any number of threads.
package format
