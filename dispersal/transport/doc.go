// Package transport carries messages between validators: frames over TLS 1.3 over
// TCP, one connection for each pair.
//
// In come messages for a peer, named by the owner of its lane, and connections of
// whoever finds the port; out go the frames that peers sent. What always holds:
//
//   - Both ends have shown that they hold an attestation key that is allowed now. A
//     stranger sends nothing that is read but a TLS handshake, of which few are open
//     at a time. Whose key is taken off the list loses its connection.
//   - A frame's length is checked against the bound of its type before memory is
//     taken for it. What one peer makes this node hold is bounded: frames received and
//     not yet released, messages waiting to be sent. Its connection is read no faster
//     than the limits allow.
//   - Send never blocks. Where a peer takes less than it is sent, the sender is told.
//   - Messages of one class to one peer arrive in the order of sending, or the
//     connection ends. Urgent ones overtake bulk.
//
// What a message says is not checked here beyond its form: a peer may lie in it.
package transport
