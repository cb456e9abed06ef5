"""What small changes of a record can do: threats, attacks, certificates, and checks of the attacks."""
