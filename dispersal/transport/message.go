package transport

import (
	"encoding/binary"
	"fmt"

	"github.com/ordo-network/ordo/order"
)

// Numbers are big-endian and of fixed width; what the package order encodes stands as it
// is. A body has no other length than its content needs.
const (
	markBytes     = 8 + 8
	positionBytes = 20 + markBytes
	batchIDBytes  = 32
	// maxAttestationBytes bounds order.Attestation's encoding: a number up to
	// order.MaxMembers, a clock, a signature.
	maxAttestationBytes = 3 + 11 + 66

	attestBytes         = positionBytes + batchIDBytes + maxAttestationBytes
	refuseBytes         = positionBytes + batchIDBytes + 1 + markBytes
	pullBytes           = requestBytes + positionBytes + 4
	getShareBytes       = requestBytes + positionBytes + 8 + batchIDBytes + 1
	maxSignedBatchBytes = order.MaxHeaderBytes + 5 + 66
	maxTipsBytes        = order.MaxTips * (2 + 22 + 11 + 11)
)

// Disperse brings a batch's header and the receiver's share.
type Disperse struct {
	Batch *order.SignedBatch
	Share []byte // as dispersal/shard encodes it; it aliases the body
}

// DisperseHead is what stands before the share: the same for all receivers.
func DisperseHead(b *order.SignedBatch) []byte {
	raw := b.Encode()
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(raw)), uint32(len(raw))), raw...)
}

// DisperseOutgoing encodes the message.
func DisperseOutgoing(head, share []byte) Outgoing {
	return Outgoing{Type: TypeDisperse, Head: head, Body: share}
}

// DecodeDisperse decodes the message. Errors: ErrFrame, those of order.DecodeSignedBatch.
func DecodeDisperse(body []byte) (*Disperse, error) {
	if len(body) < 4 {
		return nil, fmt.Errorf("disperse of %d bytes: %w", len(body), ErrFrame)
	}
	n, rest := binary.BigEndian.Uint32(body), body[4:]
	if n > maxSignedBatchBytes || int(n) > len(rest) {
		return nil, fmt.Errorf("disperse with a header of %d in %d bytes: %w", n, len(rest), ErrFrame)
	}
	batch, err := order.DecodeSignedBatch(rest[:n])
	if err != nil {
		return nil, fmt.Errorf("decode disperse: %w", err)
	}
	return &Disperse{Batch: batch, Share: rest[n:]}, nil
}

// Attest is the answer to Disperse of a member that has its share on disk.
type Attest struct {
	Position    order.Position
	Batch       order.BatchID
	Attestation order.Attestation
}

// Outgoing encodes the message.
func (a *Attest) Outgoing() Outgoing {
	b := appendPosition(make([]byte, 0, attestBytes), a.Position)
	b = append(b, a.Batch[:]...)
	return Outgoing{Type: TypeAttest, Head: append(b, a.Attestation.Encode()...)}
}

// DecodeAttest decodes the message. Errors: ErrFrame, those of order.DecodeAttestation.
func DecodeAttest(body []byte) (*Attest, error) {
	const fixed = positionBytes + batchIDBytes
	if len(body) < fixed {
		return nil, fmt.Errorf("attest of %d bytes: %w", len(body), ErrFrame)
	}
	a := &Attest{Position: position(body), Batch: order.BatchID(body[positionBytes:fixed])}
	var err error
	if a.Attestation, err = order.DecodeAttestation(body[fixed:]); err != nil {
		return nil, fmt.Errorf("decode attest: %w", err)
	}
	return a, nil
}

// Refuse is the answer to Disperse of a member that does not attest. What the reasons
// mean, and whether Expected counts, is up to the two.
type Refuse struct {
	Position order.Position
	Batch    order.BatchID
	Reason   uint8
	Expected order.Mark
}

// Outgoing encodes the message.
func (r *Refuse) Outgoing() Outgoing {
	b := appendPosition(make([]byte, 0, refuseBytes), r.Position)
	b = append(append(b, r.Batch[:]...), r.Reason)
	return Outgoing{Type: TypeRefuse, Head: appendMark(b, r.Expected)}
}

// DecodeRefuse decodes the message. Errors: ErrFrame.
func DecodeRefuse(body []byte) (*Refuse, error) {
	if len(body) != refuseBytes {
		return nil, fmt.Errorf("refuse of %d bytes, want %d: %w", len(body), refuseBytes, ErrFrame)
	}
	const fixed = positionBytes + batchIDBytes
	return &Refuse{
		Position: position(body), Batch: order.BatchID(body[positionBytes:fixed]), Reason: body[fixed], Expected: mark(body[fixed+1:]),
	}, nil
}

// CertificateOutgoing sends a certificate by its encoding.
func CertificateOutgoing(encoded []byte) Outgoing {
	return Outgoing{Type: TypeCertificate, Head: encoded}
}

// TipsOutgoing tells a peer up to where this node holds certificates.
func TipsOutgoing(tips []order.Tip) Outgoing {
	return Outgoing{Type: TypeTips, Head: order.EncodeTips(tips)}
}

// Pull asks for a lane's certificates after From, in sequence, at most Max.
type Pull struct {
	From order.Position
	Max  uint32
}

// Outgoing encodes the request; Peer.Request numbers it.
func (p *Pull) Outgoing() Outgoing {
	b := appendPosition(make([]byte, requestBytes, pullBytes), p.From)
	return Outgoing{Type: TypePull, Head: binary.BigEndian.AppendUint32(b, p.Max)}
}

// DecodePull decodes the request. Errors: ErrFrame.
func DecodePull(body []byte) (request uint64, p *Pull, err error) {
	if len(body) != pullBytes {
		return 0, nil, fmt.Errorf("pull of %d bytes, want %d: %w", len(body), pullBytes, ErrFrame)
	}
	return binary.BigEndian.Uint64(body), &Pull{position(body[requestBytes:]), binary.BigEndian.Uint32(body[requestBytes+positionBytes:])}, nil
}

// CertificatesOutgoing answers a Pull with encoded certificates: as many of them, from
// the first, as fit one message.
func CertificatesOutgoing(request uint64, encoded [][]byte) Outgoing {
	size := 0
	for i, c := range encoded {
		if size+4+len(c) > MaxCertificatesBytes {
			encoded = encoded[:i]
			break
		}
		size += 4 + len(c)
	}
	b := make([]byte, 0, size)
	for _, c := range encoded {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(c))), c...)
	}
	return reply(TypeCertificates, request, b)
}

// DecodeCertificates decodes the reply to a Pull. Errors: ErrFrame, those of
// order.DecodeCertificate.
func DecodeCertificates(body []byte) ([]*order.Certificate, error) {
	if len(body) < requestBytes {
		return nil, fmt.Errorf("certificates of %d bytes: %w", len(body), ErrFrame)
	}
	var certs []*order.Certificate
	for rest := body[requestBytes:]; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, fmt.Errorf("%d bytes after the last certificate: %w", len(rest), ErrFrame)
		}
		n := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(n) > uint64(len(rest)) {
			return nil, fmt.Errorf("certificate of %d in %d bytes: %w", n, len(rest), ErrFrame)
		}
		cert, err := order.DecodeCertificate(rest[:n])
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs), err)
		}
		certs, rest = append(certs, cert), rest[n:]
	}
	return certs, nil
}

// GetShare asks for the receiver's share of a batch.
type GetShare struct {
	Position order.Position
	Epoch    uint64
	Batch    order.BatchID
	// Header asks for the signed header as well: whoever mends a damaged record needs it.
	Header bool
}

// Outgoing encodes the request; Peer.Request numbers it.
func (g *GetShare) Outgoing() Outgoing {
	b := appendPosition(make([]byte, requestBytes, getShareBytes), g.Position)
	b = binary.BigEndian.AppendUint64(b, g.Epoch)
	b = append(b, g.Batch[:]...)
	flag := byte(0)
	if g.Header {
		flag = 1
	}
	return Outgoing{Type: TypeGetShare, Head: append(b, flag)}
}

// DecodeGetShare decodes the request. Errors: ErrFrame.
func DecodeGetShare(body []byte) (request uint64, g *GetShare, err error) {
	if len(body) != getShareBytes || body[getShareBytes-1] > 1 {
		return 0, nil, fmt.Errorf("get share of %d bytes, want %d and a flag: %w", len(body), getShareBytes, ErrFrame)
	}
	const fixed = requestBytes + positionBytes
	return binary.BigEndian.Uint64(body), &GetShare{
		Position: position(body[requestBytes:]), Epoch: binary.BigEndian.Uint64(body[fixed:]),
		Batch: order.BatchID(body[fixed+8 : fixed+8+batchIDBytes]), Header: body[getShareBytes-1] == 1,
	}, nil
}

// ShareOutgoing answers a GetShare. batch is the encoded header, empty where it was
// not asked for.
func ShareOutgoing(request uint64, batch, share []byte) Outgoing {
	head := binary.BigEndian.AppendUint64(make([]byte, 0, requestBytes+4+len(batch)), request)
	head = binary.BigEndian.AppendUint32(head, uint32(len(batch)))
	return Outgoing{Type: TypeShare, Head: append(head, batch...), Body: share}
}

// DecodeShare takes the reply to a GetShare apart; batch is nil where there is no
// header. The share aliases the body. Errors: ErrFrame, those of
// order.DecodeSignedBatch.
func DecodeShare(body []byte) (batch *order.SignedBatch, share []byte, err error) {
	if len(body) < requestBytes+4 {
		return nil, nil, fmt.Errorf("share of %d bytes: %w", len(body), ErrFrame)
	}
	n, rest := binary.BigEndian.Uint32(body[requestBytes:]), body[requestBytes+4:]
	if n > maxSignedBatchBytes || int(n) > len(rest) {
		return nil, nil, fmt.Errorf("share with a header of %d in %d bytes: %w", n, len(rest), ErrFrame)
	}
	if n > 0 {
		if batch, err = order.DecodeSignedBatch(rest[:n]); err != nil {
			return nil, nil, fmt.Errorf("decode share: %w", err)
		}
	}
	return batch, rest[n:], nil
}

// NotFoundOutgoing answers a GetShare of what this node does not hold.
func NotFoundOutgoing(request uint64) Outgoing { return reply(TypeNotFound, request, nil) }

func reply(t Type, request uint64, body []byte) Outgoing {
	return Outgoing{Type: t, Head: binary.BigEndian.AppendUint64(nil, request), Body: body}
}

func appendMark(b []byte, m order.Mark) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, m.Session), m.Sequence)
}

func appendPosition(b []byte, p order.Position) []byte {
	return appendMark(append(b, p.Owner[:]...), p.Mark)
}

func mark(b []byte) order.Mark {
	return order.Mark{Session: binary.BigEndian.Uint64(b), Sequence: binary.BigEndian.Uint64(b[8:])}
}

func position(b []byte) order.Position {
	return order.Position{Owner: order.Owner(b[:20]), Mark: mark(b[20:])}
}
